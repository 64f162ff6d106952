import type { Command, GivenOf } from "../../command.ts";

const settings = [
  "model",
  "run",
  "checkpoint",
  "against",
  "data",
  "dataDir",
  "testLimit",
  "batchSize",
  "threads",
  "config",
  "timeout",
  "json",
] as const;

/**
 * `shake verify`: compares an exported model on every device with the trained network, layer by layer, on
 * the CPU.
 */
export const verifyCommand: Command<(typeof settings)[number]> = {
  name: "verify",
  summary: "compare an exported model with its checkpoint on every device",
  help: "Runs an exported model on every device of this machine and compares its logits with those of the checkpoint.",
  settings,
  settingHelp: {
    run: "folder of the run to compare with [default: that of the model]",
    testLimit: "compare on the first N test images [default: 256]",
  },
  positional: "model",
  load: () => import("./run.ts"),
};

export type VerifyGiven = GivenOf<typeof verifyCommand>;
