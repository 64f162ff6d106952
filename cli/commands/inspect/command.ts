import type { Command, GivenOf } from "../../command.ts";

const settings = [
  "file",
  "graph",
  "lowered",
  "dot",
  "training",
  "branches",
  "testLimit",
  "config",
  "json",
] as const;

/** `shake inspect`: the contents of a model, a checkpoint, a run or an artifacts folder. */
export const inspectCommand: Command<(typeof settings)[number]> = {
  name: "inspect",
  summary: "show what is in a model, a checkpoint, a run or an artifacts folder",
  help: "Shows the inputs, outputs, layers, parameters and cost of a model, the tensors of a checkpoint, or the epochs of a run. --graph prints a model as text, --dot as a drawing. --training says which parameters of a model can be trained, and which nodes keep the others from it. --branches measures the correlation of the two branches of every block of a run on its test images.",
  settings,
  positional: "file",
  load: () => import("./run.ts"),
};

export type InspectGiven = GivenOf<typeof inspectCommand>;
