import protobuf, { type Writer } from "protobufjs/minimal.js";
import type { Graph, Value } from "../../../graph-builder/ir.ts";
import { freeName } from "../../../graph-builder/names.ts";

/** A node of TensorBoard's drawing. */
interface DrawnNode {
  readonly name: string;
  readonly op: string;
  /** Names of nodes, with the number of the output behind a colon for all but the first. */
  readonly inputs: readonly string[];
  readonly outputs: readonly Value[];
}

/**
 * A graph as TensorFlow's GraphDef (tensorflow/core/framework/graph.proto), which TensorBoard draws: one node
 * for each node, input and constant, with the shapes of its outputs. The scopes of a name become boxes; those
 * of a parameter are the parts of its dotted name.
 */
export function graphDefOf(graph: Graph): Uint8Array {
  const w = protobuf.Writer.create();
  for (const node of drawnNodes(graph)) message(w, 1, () => writeNode(w, node));
  // versions.producer
  message(w, 4, () => w.uint32(8).int32(22));
  return w.finish();
}

function drawnNodes(graph: Graph): DrawnNode[] {
  const taken = new Set<string>();
  const places = new Map<Value, string>();
  const ends = (values: readonly Value[], op: string) =>
    values.map((value): DrawnNode => {
      const name = freeName(plainName(value.name?.replaceAll(".", "/") ?? op), taken);
      places.set(value, name);
      return { name, op, inputs: [], outputs: [value] };
    });
  const leaves = [...ends(graph.inputs, "Placeholder"), ...ends(graph.initializers, "Const")];
  const names = graph.nodes.map((node) => freeName(plainName(node.name || node.opType), taken));
  for (const [i, { outputs }] of graph.nodes.entries())
    for (const [k, value] of outputs.entries())
      places.set(value, k === 0 ? `${names[i]}` : `${names[i]}:${k}`);
  const inner = graph.nodes.map(
    ({ opType, inputs, outputs }, i): DrawnNode => ({
      name: names[i] ?? "",
      op: opType,
      inputs: inputs.flatMap((value) => (value && places.get(value)) ?? []),
      outputs,
    }),
  );
  return [...leaves, ...inner];
}

/** A name of the characters that TensorFlow allows. */
function plainName(name: string): string {
  return name.replaceAll(/[^\w./-]/g, "_").replace(/^[^A-Za-z0-9.]+/, "") || "node";
}

function writeNode(w: Writer, { name, op, inputs, outputs }: DrawnNode): void {
  w.uint32(10).string(name).uint32(18).string(op);
  for (const input of inputs) w.uint32(26).string(input);
  // the entry _output_shapes of the map attr: a list of TensorShapeProto
  message(w, 5, () => {
    w.uint32(10).string("_output_shapes");
    message(w, 2, () => {
      message(w, 1, () => {
        for (const value of outputs) writeShape(w, value);
      });
    });
  });
}

function writeShape(w: Writer, { type }: Value): void {
  message(w, 7, () => {
    if (type.kind !== "tensor") w.uint32(24).bool(true);
    else
      for (const size of type.shape)
        message(w, 2, () => w.uint32(8).int64(typeof size === "number" ? size : -1));
  });
}

/** Writes a message into a field. */
function message(w: Writer, field: number, write: () => void): void {
  w.uint32((field << 3) | 2).fork();
  write();
  w.ldelim();
}
