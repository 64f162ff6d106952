import type { Command, GivenOf } from "../../command.ts";

const settings = [
  "model",
  "pictures",
  "Pictures",
  "out",
  "device",
  "threads",
  "config",
  "timeout",
  "json",
] as const;

/** `shake predict`: classifies pictures with an exported model, or with the network of the package. */
export const predictCommand: Command<(typeof settings)[number]> = {
  name: "predict",
  summary: "classify pictures with an exported model",
  help:
    "Classifies pictures of any size, also all in a folder. The first path may be an exported .onnx model or " +
    "the folder of a run; without one, the package's own network tells CIFAR-10's ten classes apart.",
  settings,
  settingHelp: { out: "CSV file to write the predictions to [default: print them]" },
  rest: "pictures",
  load: () => import("./run.ts"),
};

export type PredictGiven = GivenOf<typeof predictCommand>;
