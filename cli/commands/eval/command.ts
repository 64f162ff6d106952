import type { Command, GivenOf } from "../../command.ts";

const settings = [
  "file",
  "run",
  "model",
  "checkpoint",
  "Pictures",
  "data",
  "dataDir",
  "testLimit",
  "batchSize",
  "device",
  "threads",
  "tta",
  "config",
  "timeout",
  "json",
] as const;

/** `shake eval`: loss, accuracy, a table per class and the confusion matrix of a run or of a model. */
export const evalCommand: Command<(typeof settings)[number]> = {
  name: "eval",
  aliases: ["evaluate"],
  summary: "measure a run, a checkpoint or an exported model on test images",
  help: "Measures loss and accuracy, recall and precision of each class, and which classes are confused, of a run, a checkpoint or an exported model.",
  settings,
  settingHelp: {
    file: "run folder, checkpoint, training artifacts or .onnx model",
    run: "run folder, as the argument without a flag",
    model: "exported .onnx model, as the argument without a flag",
  },
  positional: "file",
  isBare: true,
  load: () => import("./run.ts"),
};

export type EvalGiven = GivenOf<typeof evalCommand>;
