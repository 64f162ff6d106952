import { didYouMean, UserError } from "../errors.ts";
import type { Graph, Value } from "../ir.ts";
import type { Tensor } from "../tensor.ts";
import { shown } from "../visible.ts";
import type { Pass } from "./pass.ts";
import { keepInput, keepNode, neededNodes, partOf, rewriteGraph } from "./rewrite.ts";

/**
 * A pass that ends a graph at the named values, and makes constants of the inputs named in `constants`. A
 * name is that of an output, or of any other value that a node makes. Inputs that no remaining node reads are
 * removed. Throws UserError for an unknown name, with the nearest one, and for no name.
 */
export function freezeInputs(constants: ReadonlyMap<string, Tensor>, outputNames: readonly string[]): Pass {
  return { name: "freeze-inputs", run: (graph) => freeze(graph, constants, outputNames) };
}

function freeze(graph: Graph, constants: ReadonlyMap<string, Tensor>, outputNames: readonly string[]): Graph {
  expectNames(graph, outputNames);
  const part = partOf(
    graph,
    outputNames.map((name) => valueNamed(graph, name)),
  );
  const read = new Set([...neededNodes(part).flatMap((node) => node.inputs), ...part.outputs]);
  return rewriteGraph(part, keepNode, (input, g) => {
    const constant = constants.get(input.name ?? "");
    if (constant) return g.constant(constant, input.name);
    return read.has(input) ? keepInput(input, g) : undefined;
  });
}

function expectNames({ outputs }: Graph, names: unknown): void {
  if (Array.isArray(names) && names.length > 0 && names.every((name) => typeof name === "string")) return;
  const known = outputs.flatMap(({ name }) => name ?? []).join(", ");
  throw new UserError(
    `A model ends at a list of one or more names of values, not ${shown(names)}. Its outputs are ${known}.`,
    { code: "output-unknown", details: { outputs: known } },
  );
}

function valueNamed(graph: Graph, name: string): Value {
  const values = [...graph.outputs, ...graph.nodes.flatMap(({ outputs }) => outputs)];
  const value = values.find((each) => each.name === name);
  if (value) return value;
  const names = values.flatMap((each) => each.name ?? []);
  const outputs = graph.outputs.flatMap((each) => each.name ?? []);
  const hint = didYouMean(name, names) || ` Its outputs are ${outputs.join(", ")}.`;
  throw new UserError(`The model has no value ${name}.${hint}`, {
    code: "output-unknown",
    details: { output: name, outputs },
  });
}
