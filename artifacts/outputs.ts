import { didYouMean, type Graph, UserError, type Value } from "../graph-builder/index.ts";

/** The output of a graph by its name. Throws UserError, with the nearest name, where there is none. */
export function outputNamed({ outputs }: Graph, name: string): Value {
  const value = outputs.find((output) => output.name === name);
  if (value) return value;
  const names = outputs.flatMap((output) => output.name ?? []);
  throw new UserError(`The model has no output ${name}.${didYouMean(name, names)}`, {
    code: "output-unknown",
    details: { output: name, outputs: names },
  });
}
