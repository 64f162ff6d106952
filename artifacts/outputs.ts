import { didYouMean, type Graph, UserError, type Value } from "../graph-builder/index.ts";

/**
 * The output of a graph by its name, or the value inside it that a node makes under this name. Throws
 * UserError, with the nearest name, where there is none.
 */
export function outputNamed({ outputs, nodes }: Graph, name: string): Value {
  const inner = nodes.flatMap((node) => node.outputs);
  const value = [...outputs, ...inner].find((each) => each.name === name);
  if (value) return value;
  const namesOf = (values: readonly Value[]) => values.flatMap((each) => each.name ?? []);
  const names = namesOf(outputs);
  const hint = didYouMean(name, names) || didYouMean(name, namesOf(inner));
  throw new UserError(`The model has no output ${name}.${hint}`, {
    code: "output-unknown",
    details: { output: name, outputs: names },
  });
}
