import type { Command, GivenOf } from "../../command.ts";

const settings = [
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

/** `shake eval`: loss, accuracy and a table per class of a run or of an exported model. */
export const evalCommand: Command<(typeof settings)[number]> = {
  name: "eval",
  aliases: ["evaluate"],
  summary: "measure a run or an exported model on test images",
  help: "Measures loss and accuracy, in total and per class, of a run (--run) or of an exported model (--model).",
  settings,
  load: () => import("./run.ts"),
};

export type EvalGiven = GivenOf<typeof evalCommand>;
