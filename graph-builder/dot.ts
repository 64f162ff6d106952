import type { Graph, Node, Value } from "./ir.ts";
import { nameValues } from "./names.ts";
import { formatType } from "./types.ts";

/** What a node of the drawing is, and its colour. */
const colours = {
  input: "#dddddd",
  forward: "#cfe2ff",
  backward: "#ffd9c2",
  update: "#d3f0d3",
  output: "#dddddd",
} as const;

/** Nodes of one scope, and the scopes in it. */
interface Scope {
  readonly nodes: Node[];
  readonly scopes: Map<string, Scope>;
}

/**
 * The graph in Graphviz's language: a box a node, coloured by its phase (forward, backward, update), in
 * clusters by its scope (`stage1/block0/Conv_0` lies in `block0` in `stage1`); an arrow for every value that
 * a node reads, with the value's type. Constants are left out.
 */
export function toDot(graph: Graph): string {
  const names = nameValues(graph);
  const ends = graph.inputs.map((value) => endpoint("input", names.get(value), value));
  const results = graph.outputs.flatMap((value) => {
    const name = names.get(value);
    const from = sourceOf(value, names);
    return [endpoint("output", name, value), ...(from ? [`  ${from} -> ${quoted(`output ${name}`)};`] : [])];
  });
  return [
    `digraph ${quoted(graph.name)} {`,
    '  node [shape=box, style="filled,rounded", fontname="sans-serif", fontsize=10];',
    '  edge [fontname="sans-serif", fontsize=8];',
    '  graph [fontname="sans-serif", fontsize=10];',
    ...ends,
    ...drawScope(scopesOf(graph.nodes), "", "  "),
    ...graph.nodes.flatMap((node) => arrowsInto(node, names)),
    ...results,
    "}",
  ].join("\n");
}

function endpoint(kind: "input" | "output", name: string | undefined, { type }: Value): string {
  const label = `${name}\n${formatType(type)}`;
  return `  ${quoted(`${kind} ${name}`)} [label=${quoted(label)}, shape=ellipse, fillcolor="${colours[kind]}"];`;
}

function scopesOf(nodes: readonly Node[]): Scope {
  const root: Scope = { nodes: [], scopes: new Map() };
  for (const node of nodes) {
    let scope = root;
    for (const name of node.name.split("/").slice(0, -1)) {
      const inner = scope.scopes.get(name) ?? { nodes: [], scopes: new Map() };
      scope.scopes.set(name, inner);
      scope = inner;
    }
    scope.nodes.push(node);
  }
  return root;
}

function drawScope({ nodes, scopes }: Scope, path: string, indent: string): string[] {
  const inner = [...scopes].flatMap(([name, scope]) => {
    const at = `${path}${name}/`;
    return [
      `${indent}subgraph ${quoted(`cluster ${at}`)} {`,
      `${indent}  label=${quoted(name)};`,
      ...drawScope(scope, at, `${indent}  `),
      `${indent}}`,
    ];
  });
  return [...nodes.map((node) => `${indent}${drawNode(node)}`), ...inner];
}

function drawNode(node: Node): string {
  const { opType = node.opType } = node.operator;
  return `${quoted(node.name)} [label=${quoted(opType)}, tooltip=${quoted(node.name)}, fillcolor="${colours[node.phase]}"];`;
}

function arrowsInto(node: Node, names: ReadonlyMap<Value, string>): string[] {
  return node.inputs.flatMap((value) => {
    const from = value && sourceOf(value, names);
    return from ? [`  ${from} -> ${quoted(node.name)} [label=${quoted(formatType(value.type))}];`] : [];
  });
}

/** The drawn thing that a value comes from: its node, or the graph's input; undefined for a constant. */
function sourceOf(value: Value, names: ReadonlyMap<Value, string>): string | undefined {
  if (value.producer) return quoted(value.producer.name);
  return value.constant ? undefined : quoted(`input ${names.get(value)}`);
}

function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}
