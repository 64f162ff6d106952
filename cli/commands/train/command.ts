import type { Command, GivenOf } from "../../command.ts";

const settings = [
  "Network",
  "Data",
  "Pictures",
  "Training",
  "Machine",
  "runDir",
  "resume",
  "artifacts",
  "init",
  "freeze",
  "bodyRate",
  "maxTime",
  "dryRun",
  "config",
  "json",
] as const;

/** `shake train`: trains a network, or goes on with a run, and exports it. */
export const trainCommand: Command<(typeof settings)[number]> = {
  name: "train",
  summary: "train a network and write the model, its curves and metrics",
  help: "Trains a network, or continues a run with --resume. Ctrl-C saves a checkpoint and stops. --dry-run says how long a run takes and how much memory it needs, and writes nothing.",
  settings,
  joinsRanks: true,
  load: () => import("./run.ts"),
};

export type TrainGiven = GivenOf<typeof trainCommand>;
