import { nodeGradients, ones, stopsGradient, valuesThatVary } from "./autodiff/autodiff.ts";
import { createBuilder } from "./builder.ts";
import type { Graph, Node, Value } from "./ir.ts";
import { copyGraph } from "./passes/rewrite.ts";

/** A node that a gradient would have to pass and cannot. */
export interface RefusedNode {
  readonly node: Node;
  /** Why, without a full stop; it names the operator and the node. */
  readonly reason: string;
  /** The names of the targets whose gradient would have to pass the node. */
  readonly targets: ReadonlySet<string>;
}

/** What autodiff can do from one output of a graph. */
export interface GradientCoverage {
  /**
   * The names of the targets that the output depends on. A path through a node whose derivative is 0 does not
   * count.
   */
  readonly reached: ReadonlySet<string>;
  /** The nodes that are refused, the last one of the graph first. */
  readonly refused: readonly RefusedNode[];
}

/**
 * Tries the gradient rule of every node between the named constants or inputs (the targets) and each output,
 * and returns what was refused, by the names of the outputs. Unlike `appendGradients`, a refused node does
 * not end the walk, so all of them are found. The graph stays as it is.
 */
export function gradientCoverage(
  graph: Graph,
  outputs: readonly string[],
  targets: ReadonlySet<string>,
): ReadonlyMap<string, GradientCoverage> {
  const walk = walkOver(copyGraph(graph), targets);
  return new Map(outputs.map((name) => [name, coverageFrom(walk, walk.graph.output(name))]));
}

interface Walk {
  readonly graph: Graph;
  readonly nodes: readonly Node[];
  readonly targets: readonly Value[];
  readonly varying: ReadonlySet<Value>;
  /** Why an input has no gradient where these outputs of its node have one; undefined where it has one. */
  readonly refusalOf: (node: Node, input: number, outputs: ReadonlySet<Value>) => string | undefined;
}

function walkOver(graph: Graph, names: ReadonlySet<string>): Walk {
  const nodes = [...graph.nodes];
  const targets = [...graph.initializers, ...graph.inputs].filter(({ name = "" }) => names.has(name));
  const g = createBuilder(graph);
  const known = new Map<string, string | undefined>();
  return {
    graph,
    nodes,
    targets,
    varying: valuesThatVary(nodes, targets),
    refusalOf: (node, index, outputs) => {
      const reaching = node.outputs.map((output) => outputs.has(output));
      const key = JSON.stringify([node.name, index, reaching]);
      if (known.has(key)) return known.get(key);
      const wanted = node.inputs.map((input, i) => (i === index ? input : null));
      const gradientAt = (value: Value) => (outputs.has(value) ? ones(g, value) : undefined);
      const refusal = messageOf(() => g.attempt(() => nodeGradients(g, node, wanted, gradientAt)));
      known.set(key, refusal);
      return refusal;
    },
  };
}

function messageOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function coverageFrom(walk: Walk, output: Value): GradientCoverage {
  const { nodes, targets, varying, refusalOf } = walk;
  const reaching = new Set(varying.has(output) ? [output] : []);
  const refused: RefusedNode[] = [];
  for (const node of [...nodes].reverse()) {
    if (stopsGradient(node) || !node.outputs.some((each) => reaching.has(each))) continue;
    const byReason = new Map<string, Value[]>();
    for (const [i, input] of node.inputs.entries()) {
      if (!input || !varying.has(input)) continue;
      const reason = refusalOf(node, i, reaching);
      if (reason !== undefined) byReason.set(reason, [...(byReason.get(reason) ?? []), input]);
      reaching.add(input);
    }
    for (const [reason, inputs] of byReason) {
      refused.push({ node, reason, targets: namesOf(targets, behind(inputs, varying)) });
    }
  }
  return { reached: namesOf(targets, reaching), refused };
}

/** The values that some values depend on, themselves included, without the paths whose derivative is 0. */
function behind(values: readonly Value[], varying: ReadonlySet<Value>): ReadonlySet<Value> {
  const found = new Set<Value>();
  const pending = [...values];
  for (let value = pending.pop(); value; value = pending.pop()) {
    if (found.has(value) || !varying.has(value)) continue;
    found.add(value);
    const { producer } = value;
    if (!producer || stopsGradient(producer)) continue;
    for (const input of producer.inputs) if (input) pending.push(input);
  }
  return found;
}

function namesOf(targets: readonly Value[], among: ReadonlySet<Value>): ReadonlySet<string> {
  return new Set(targets.filter((target) => among.has(target)).flatMap(({ name }) => name ?? []));
}
