import { encodeModel, int64s, type Model, type Tensor } from "../../graph-builder/index.ts";
import { encodeAttribute } from "../../graph-builder/onnx/attributes.ts";
import { parseModel } from "../../graph-builder/onnx/parse.ts";
import type { Message } from "../../graph-builder/onnx/schema.ts";
import { encodeTensor } from "../../graph-builder/onnx/tensors.ts";
import { encodeType } from "../../graph-builder/onnx/type-proto.ts";
import { encodeMessage } from "../../graph-builder/onnx/wire.ts";
import { type DataType, type GivenShape, tensorType } from "../../graph-builder/types.ts";

type IAttribute = Message<"AttributeProto">;
type INode = Message<"NodeProto">;
type IValueInfo = Message<"ValueInfoProto">;

/** The parts of a file that a test says; a file of opset 17 without constants where left out. */
export interface FileParts extends Partial<Message<"GraphProto">> {
  readonly opset?: number;
  readonly opsets?: Readonly<Record<string, number>>;
  readonly irVersion?: number;
  readonly functions?: readonly Message<"FunctionProto">[];
}

/** The bytes of a file made by another program. */
export function fileOf({
  opset = 17,
  opsets = { "": opset },
  irVersion = 8,
  functions,
  ...graph
}: FileParts) {
  const opsetImport = Object.entries(opsets).map(([domain, version]) => ({ domain, version }));
  return encodeMessage("ModelProto", {
    irVersion,
    opsetImport,
    ...(functions ? { functions } : {}),
    graph: { name: "file", node: [], ...graph },
  });
}

/** A value's name with its type; without a shape the rank is unknown. */
export function info(name: string, shape?: GivenShape, elemType: DataType = "float"): IValueInfo {
  const type = encodeType(tensorType(elemType, shape ?? []));
  return shape ? { name, type } : { name, type: { tensorType: { elemType: type?.tensorType?.elemType } } };
}

/** A node from the names of its inputs and outputs. */
export function nodeOf(
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attribute: readonly IAttribute[] = [],
  domain = "",
): INode {
  return { opType, input, output, attribute, domain, name: `${output[0]}_node` };
}

/** A constant of a graph. */
export function initializer(name: string, tensor: Tensor): Message<"TensorProto"> {
  return encodeTensor(tensor, name);
}

/** int64 numbers as a constant of a graph. */
export function integers(name: string, values: number | readonly number[]): Message<"TensorProto"> {
  return initializer(name, int64s(values));
}

export const int = (name: string, value: number): IAttribute => encodeAttribute(name, "int", value);
export const ints = (name: string, value: readonly number[]): IAttribute =>
  encodeAttribute(name, "ints", value);
export const float = (name: string, value: number): IAttribute => encodeAttribute(name, "float", value);
export const floats = (name: string, value: readonly number[]): IAttribute =>
  encodeAttribute(name, "floats", value);
export const text = (name: string, value: string): IAttribute => encodeAttribute(name, "string", value);

/** A graph as an attribute: a branch of If, the body of Loop or Scan. */
export function graphAttribute(name: string, g: Message<"GraphProto">): IAttribute {
  return { name, type: 5, g };
}

/** A model's file with the elements of its constants in a file beside it, and the same model as one file. */
export function externalFileOf(
  model: Model,
  location: string,
): {
  readonly bytes: Uint8Array;
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly whole: Uint8Array;
} {
  const whole = encodeModel(model);
  const { graph, ...rest } = parseModel(whole, "the model");
  const parts: Uint8Array[] = [];
  let offset = 0;
  const initializers = graph.initializer?.map(({ rawData = new Uint8Array(), ...tensor }) => {
    const entries = { location, offset: String(offset), length: String(rawData.length) };
    parts.push(rawData);
    offset += rawData.length;
    const externalData = Object.entries(entries).map(([key, value]) => ({ key, value }));
    return { ...tensor, externalData, dataLocation: 1 };
  });
  const bytes = encodeMessage("ModelProto", { ...rest, graph: { ...graph, initializer: initializers } });
  const data = new Uint8Array(offset);
  let end = 0;
  for (const part of parts) {
    data.set(part, end);
    end += part.length;
  }
  return { bytes, files: new Map([[location, data]]), whole };
}
