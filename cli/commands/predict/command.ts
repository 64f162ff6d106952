import type { Command, GivenOf } from "../../command.ts";

const settings = ["model", "pictures", "Pictures", "device", "threads", "config", "json"] as const;

/** `shake predict`: classifies pictures with an exported model. */
export const predictCommand: Command<(typeof settings)[number]> = {
  name: "predict",
  summary: "classify pictures with an exported model",
  help: "Classifies PNG and JPEG pictures of any size with an exported model.",
  settings,
  positional: "model",
  rest: "pictures",
  load: () => import("./run.ts"),
};

export type PredictGiven = GivenOf<typeof predictCommand>;
