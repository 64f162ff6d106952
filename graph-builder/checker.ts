import { inferTypes } from "./builder.ts";
import type { Graph, Node, Value } from "./ir.ts";
import { nameValues } from "./names.ts";
import { formatType, sameType } from "./types.ts";

/** A graph that breaks an invariant; the message names the node by its path. */
export class GraphError extends Error {
  override readonly name = "GraphError";
}

/**
 * Refuses a broken graph. What must hold:
 * - every input and output has a name, and no two values or nodes share one;
 * - a node reads only inputs, constants, and outputs of earlier nodes;
 * - a node's required attributes are there, and its outputs have the types that its operator infers;
 * - of the functions that are called no two have one domain and name;
 * - the body of a Scan is such a graph itself;
 * - a value lists exactly the nodes that read it as its uses.
 * Throws GraphError at the first that does not.
 */
export function checkGraph(graph: Graph): void {
  const known = new Set<Value>(graph.inputs);
  for (const value of [...graph.inputs, ...graph.outputs]) {
    if (!value.name) throw new GraphError(`graph ${graph.name} has an input or output without a name`);
  }
  checkNames(graph);
  for (const node of graph.nodes) {
    checkNode(node, known);
    if (node.subgraph) checkGraph(node.subgraph.graph);
    for (const output of node.outputs) known.add(output);
  }
  const nodes = new Set(graph.nodes);
  for (const value of [...known, ...graph.initializers]) checkUses(value, nodes);
  for (const value of graph.outputs) {
    if (!known.has(value) && !value.constant)
      throw new GraphError(`nothing in the graph makes the output ${value.name}`);
  }
}

function checkNames(graph: Graph): void {
  try {
    nameValues(graph);
    graph.functions();
  } catch (error) {
    throw new GraphError((error as Error).message);
  }
  const paths = new Set<string>();
  for (const node of graph.nodes) {
    if (paths.has(node.name)) throw new GraphError(`two nodes are named ${node.name}`);
    paths.add(node.name);
  }
}

function checkNode(node: Node, known: ReadonlySet<Value>): void {
  const at = `${node.opType} at ${node.name}`;
  for (const [index, input] of node.inputs.entries()) {
    if (!input) continue;
    if (!known.has(input) && !input.constant) {
      throw new GraphError(
        `${at}: input ${index} (${input.name ?? "unnamed"}) is not made before it is read`,
      );
    }
    if (!input.uses.some((use) => (use.node as Node) === node && use.index === index)) {
      throw new GraphError(`${at}: input ${index} does not list the node among its uses`);
    }
  }
  checkTypes(node, at);
}

function checkUses(value: Value, nodes: ReadonlySet<Node>): void {
  const stranger = value.uses.find(({ node, index }) => node.inputs[index] !== value || !nodes.has(node));
  if (!stranger) return;
  const { node, index } = stranger;
  const label = value.name ?? value.producer?.name ?? "a constant";
  throw new GraphError(
    `${node.opType} at ${node.name}: does not read ${label} as input ${index} in this graph`,
  );
}

function checkTypes(node: Node, at: string): void {
  let inferred: ReturnType<typeof inferTypes>;
  try {
    inferred = inferTypes(node);
  } catch (error) {
    throw new GraphError((error as Error).message);
  }
  if (inferred.length !== node.outputs.length) {
    throw new GraphError(`${at}: has ${node.outputs.length} outputs, its operator makes ${inferred.length}`);
  }
  for (const [i, type] of inferred.entries()) {
    const actual = node.output(i).type;
    if (!sameType(type, actual)) {
      throw new GraphError(
        `${at}: output ${i} is ${formatType(actual)}, its operator makes ${formatType(type)}`,
      );
    }
  }
}
