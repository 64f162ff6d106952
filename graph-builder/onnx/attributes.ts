import protobuf from "protobufjs/minimal.js";
import { unsupported } from "../operators/inference.ts";
import type { AttributeKind } from "../operators/schema.ts";
import type { Tensor } from "../tensor.ts";
import { AttributeType, type Message } from "./schema.ts";
import { decodeSparseTensor, decodeTensor, encodeTensor } from "./tensors.ts";

type IAttribute = Message<"AttributeProto">;

/** An attribute as a file has it, for all but graphs. */
export function encodeAttribute(
  name: string,
  kind: Exclude<AttributeKind, "graph">,
  value: unknown,
): IAttribute {
  const types = AttributeType;
  switch (kind) {
    case "int":
      return { name, type: types.INT, i: Number(value) };
    case "float":
      return { name, type: types.FLOAT, f: Number(value) };
    case "string":
      return { name, type: types.STRING, s: encodeText(String(value)) };
    case "ints":
      return { name, type: types.INTS, ints: value as number[] };
    case "floats":
      return { name, type: types.FLOATS, floats: value as number[] };
    case "strings":
      return { name, type: types.STRINGS, strings: (value as readonly string[]).map(encodeText) };
    case "tensor":
      return { name, type: types.TENSOR, t: encodeTensor(value as Tensor, "") };
  }
}

/** A graph as an attribute. */
export function graphAttribute(name: string, g: Message<"GraphProto">): IAttribute {
  return { name, type: AttributeType.GRAPH, g };
}

/** A text as UTF-8. */
export function encodeText(text: string): Uint8Array {
  const bytes = new Uint8Array(protobuf.util.utf8.length(text));
  protobuf.util.utf8.write(text, bytes, 0);
  return bytes;
}

/**
 * The value of a file's attribute. Throws UnsupportedError, naming the node, for a kind that is not
 * supported, such as a graph.
 */
export function decodeAttribute(
  { type, i, f, s, ints, floats, strings, t, sparseTensor, name }: IAttribute,
  node: string,
): unknown {
  const types = AttributeType;
  switch (type) {
    case types.INT:
      return Number(i ?? 0);
    case types.FLOAT:
      return shortestFloat(f ?? 0);
    case types.STRING:
      return s ? decodeText(s) : "";
    case types.STRINGS:
      return (strings ?? []).map(decodeText);
    case types.INTS:
      return (ints ?? []).map(Number);
    case types.FLOATS:
      return (floats ?? []).map(shortestFloat);
    case types.TENSOR:
      return t && decodeTensor(t, name ?? "");
    case types.SPARSE_TENSOR:
      return sparseTensor && decodeSparseTensor(sparseTensor, name ?? "");
    default:
      return unsupported(`attribute ${name} at ${node} is of a kind that is not supported`);
  }
}

function decodeText(bytes: Uint8Array): string {
  return protobuf.util.utf8.read(bytes, 0, bytes.length);
}

/** The shortest decimal that is the same float32: 0.1 where the file's bits say 0.10000000149. */
function shortestFloat(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}
