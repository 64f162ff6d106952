import type { Graph, Node, Value } from "./ir.ts";
import { isUsed, nameValues } from "./names.ts";
import { operatorOf } from "./operators/index.ts";
import { Tensor } from "./tensor.ts";
import { formatType, tensorType } from "./types.ts";

/** The graph in ONNX's textual syntax (onnx/onnx docs/Syntax.md); long constants are cut with `...`. */
export function printGraph(graph: Graph): string {
  const names = nameValues(graph);
  const declare = (value: Value) => `${formatType(value.type)} ${names.get(value)}`;
  const constants = graph.initializers.map((value) => `${declare(value)} = ${formatData(value.constant)}`);
  const lines = [
    `${graph.name} (${graph.inputs.map(declare).join(", ")}) => (${graph.outputs.map(declare).join(", ")})`,
    ...(constants.length > 0 ? [`<${constants.join(", ")}>`] : []),
    "{",
    ...graph.nodes.map((node) => `  ${printNode(graph, node, names)}`),
    "}",
  ];
  return lines.join("\n");
}

function printNode(graph: Graph, node: Node, names: ReadonlyMap<Value, string>): string {
  const { domain, attributes } = operatorOf(node.opType);
  const outputs = node.outputs.map((value) => (isUsed(graph, value) ? (names.get(value) ?? "") : ""));
  while (outputs.at(-1) === "") outputs.pop();
  const inputs = node.inputs.map((value) => (value ? (names.get(value) ?? "") : ""));
  const given = givenAttributes(node).map(([name, value]) => {
    const kind = attributes[name]?.kind ?? "int";
    return `${name} = ${formatAttribute(kind, value)}`;
  });
  const list = given.length > 0 ? ` <${given.join(", ")}>` : "";
  return `${outputs.join(", ")} = ${domain ? `${domain}.` : ""}${node.opType}${list} (${inputs.join(", ")})`;
}

/** The attributes of a node that differ from its operator's defaults: what the file carries. */
export function givenAttributes(node: Node): [name: string, value: unknown][] {
  const { attributes } = operatorOf(node.opType);
  return Object.entries(node.attributes as Readonly<Record<string, unknown>>).filter(
    ([name, value]) => value !== undefined && value !== attributes[name]?.default,
  );
}

function formatAttribute(kind: string, value: unknown): string {
  if (value instanceof Tensor)
    return `${formatType(tensorType(value.elemType, value.dims))} ${formatData(value)}`;
  if (Array.isArray(value)) return `[${value.join(", ")}]`;
  if (kind === "string") return JSON.stringify(value);
  return kind === "float" ? formatFloat(Number(value)) : String(value);
}

function formatFloat(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e21 ? value.toFixed(1) : String(value);
}

function formatData(tensor: Tensor | undefined): string {
  if (!tensor) return "{}";
  const shown = tensor.numbers().slice(0, 8);
  return `{${shown.join(", ")}${tensor.data.length > shown.length ? ", ..." : ""}}`;
}
