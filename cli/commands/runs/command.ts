import type { Command, GivenOf } from "../../command.ts";

const settings = ["runs", "out", "open", "config", "json"] as const;

/** `shake runs`: a table of runs, or a comparison of some. */
export const runsCommand: Command<(typeof settings)[number]> = {
  name: "runs",
  summary: "list the runs in a folder, or compare two and more",
  help: "Lists the runs in a folder (runs/ by default) with their accuracy, time and state. Of two runs and more it shows the settings that differ, and their curves; --out writes that as a page.",
  settings,
  settingHelp: { out: "path of a page that compares the runs" },
  rest: "runs",
  isBare: true,
  load: () => import("./run.ts"),
};

export type RunsGiven = GivenOf<typeof runsCommand>;
