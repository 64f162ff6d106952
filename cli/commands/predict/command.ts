import type { Command, GivenOf } from "../../command.ts";

const settings = ["model", "pictures", "Pictures", "device", "threads", "config", "timeout", "json"] as const;

/** `shake predict`: classifies pictures with an exported model, or with the network of the package. */
export const predictCommand: Command<(typeof settings)[number]> = {
  name: "predict",
  summary: "classify pictures with an exported model",
  help:
    "Classifies PNG and JPEG pictures of any size. The first file may be an exported .onnx model; without one, " +
    "the package's own network tells CIFAR-10's ten classes apart.",
  settings,
  rest: "pictures",
  load: () => import("./run.ts"),
};

export type PredictGiven = GivenOf<typeof predictCommand>;
