import type { Command, GivenOf } from "../../command.ts";

const settings = [
  "Network",
  "data",
  "optimizer",
  "momentum",
  "weightDecay",
  "seed",
  "target",
  "fused",
  "chunk",
  "out",
  "config",
] as const;

/** `shake build-graph`: writes ONNX Runtime's training artifacts of a network. */
export const buildGraphCommand: Command<(typeof settings)[number]> = {
  name: "build-graph",
  summary: "compile a network into ONNX Runtime training artifacts",
  help: "Writes training_model.onnx, eval_model.onnx, optimizer_model.onnx, checkpoint and manifest.json into a folder.",
  settings,
  load: () => import("./run.ts"),
};

export type BuildGraphGiven = GivenOf<typeof buildGraphCommand>;
