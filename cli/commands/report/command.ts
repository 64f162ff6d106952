import type { Command, GivenOf } from "../../command.ts";

const settings = [
  "run",
  "data",
  "dataDir",
  "checkpoint",
  "testLimit",
  "batchSize",
  "device",
  "threads",
  "out",
  "open",
  "config",
  "json",
] as const;

/** `shake report`: the report of a run as one file of HTML, and its predictions. */
export const reportCommand: Command<(typeof settings)[number]> = {
  name: "report",
  summary: "write the report of a run: curves, confusions, mistakes as pictures",
  help: "Writes report.html, one file that loads nothing, and predictions.csv into the folder of a run. With --data the run is measured on other pictures, and the files are named after them.",
  settings,
  settingHelp: {
    data: "other pictures to measure the run on [default: those of the run that it was not trained on]",
    out: "path of the report; the predictions get the same name with .csv [default: report.html in the run's folder]",
    testLimit: "measure on the first N images only [default: as the run]",
  },
  positional: "run",
  load: () => import("./run.ts"),
};

export type ReportGiven = GivenOf<typeof reportCommand>;
