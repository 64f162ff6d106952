import protobuf from "protobufjs/minimal.js";
import { type Builder, createBuilder } from "../builder.ts";
import { UserError } from "../errors.ts";
import { Graph, type Model, type Node, type Value } from "../ir.ts";
import { freeName, isUsed, nameValues, outputNames } from "../names.ts";
import { dataTypeNumbers, dataTypeOf } from "../operators/elementwise.ts";
import { operatorOf } from "../operators/index.ts";
import type { AttributeKind } from "../operators/schema.ts";
import { derivePhases } from "../phases.ts";
import { functionGraph, isFunction } from "../shake-shake.ts";
import { allocate, dataFromBytes, isNumeric, Tensor } from "../tensor.ts";
import { type Dim, type Shape, tensorType, type ValueType } from "../types.ts";
import { type WrittenNode, writtenNode } from "./export-forms.ts";
import { importNode } from "./import-forms.ts";
import { opsetImports } from "./opset-imports.ts";
import { onnx } from "./wire.ts";

type Proto = typeof onnx;
type IModel = Parameters<Proto["ModelProto"]["encode"]>[0];
type IGraph = Parameters<Proto["GraphProto"]["encode"]>[0];
type INode = Parameters<Proto["NodeProto"]["encode"]>[0];
type IAttribute = Parameters<Proto["AttributeProto"]["encode"]>[0];
type ITensor = Parameters<Proto["TensorProto"]["encode"]>[0];
type IFunction = Parameters<Proto["FunctionProto"]["encode"]>[0];
type IValueInfo = Parameters<Proto["ValueInfoProto"]["encode"]>[0];
type IType = Parameters<Proto["TypeProto"]["encode"]>[0];

// --- writing ---

/** The model as the bytes of an .onnx file; the same model always gives the same bytes. */
export function encodeModel(model: Model): Uint8Array {
  const functions = [...new Set(model.graph.nodes.map((node) => node.opType))].filter(isFunction);
  const proto: IModel = {
    irVersion: model.irVersion,
    producerName: model.producerName,
    docString: model.docString,
    opsetImport: opsetImports(model.graph, model.opset).map(([domain, version]) => ({ domain, version })),
    metadataProps: Object.entries(model.metadataProps).map(([key, value]) => ({ key, value })),
    functions: functions.map((opType) => encodeFunction(functionGraph(opType), model.opset)),
    graph: encodeGraph(model.graph, model.opset),
  };
  return onnx.ModelProto.encode(proto).finish();
}

function encodeGraph(graph: Graph, opset: number): IGraph {
  const { names, nodes, constants } = writtenNodes(graph, opset);
  const ends = new Set([...graph.inputs, ...graph.outputs]);
  const inner = graph.nodes
    .flatMap((node) => node.outputs)
    .filter((value) => !ends.has(value) && isUsed(graph, value));
  return {
    name: graph.name,
    input: graph.inputs.map((value) => encodeValueInfo(value, names)),
    output: graph.outputs.map((value) => encodeValueInfo(value, names)),
    valueInfo: inner.map((value) => encodeValueInfo(value, names)),
    initializer: constants.map((value) => encodeTensor(constantOf(value), names.get(value) ?? "")),
    node: nodes,
  };
}

/** A function has no initializers: its constants become Constant nodes. */
function encodeFunction(graph: Graph, opset: number): IFunction {
  const { names, nodes, constants } = writtenNodes(graph, opset);
  const constantNodes = constants.map((value) => ({
    opType: "Constant",
    output: [names.get(value) ?? ""],
    attribute: [encodeAttribute("value", "tensor", constantOf(value))],
  }));
  return {
    name: graph.name,
    domain: "shakenet",
    input: graph.inputs.map((value) => names.get(value) ?? ""),
    output: graph.outputs.map((value) => names.get(value) ?? ""),
    opsetImport: [{ domain: "", version: opset }],
    node: [...constantNodes, ...nodes],
  };
}

/** The nodes of a graph in the forms of an opset, the constants that they and the outputs read, and the names of all values. */
function writtenNodes(graph: Graph, opset: number) {
  const names = nameValues(graph);
  const taken = new Set(names.values());
  const constants = new Set<Value>();
  const nodes = graph.nodes.map((node) => {
    const written = writtenNode(node, opset);
    for (const value of written.inputs) {
      if (!value?.constant) continue;
      constants.add(value);
      if (!names.has(value)) names.set(value, freeName(`${node.name.replaceAll("/", ".")}.axes`, taken));
    }
    return encodeNode(node, written, { names, output: outputNames(graph, node, names) });
  });
  for (const value of graph.outputs) if (value.constant) constants.add(value);
  return { names, nodes, constants: [...constants] };
}

function encodeNode(
  node: Node,
  { inputs, attributes }: WrittenNode,
  { names, output }: { readonly names: ReadonlyMap<Value, string>; readonly output: string[] },
): INode {
  const { domain, opType = node.opType } = operatorOf(node.opType);
  return {
    name: node.name,
    opType,
    domain,
    input: inputs.map((value) => (value ? (names.get(value) ?? "") : "")),
    output,
    attribute: attributes.map(([name, kind, value]) => encodeAttribute(name, kind, value)),
  };
}

function encodeAttribute(name: string, kind: AttributeKind, value: unknown): IAttribute {
  const types = onnx.AttributeProto.AttributeType;
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
    case "tensor":
      return { name, type: types.TENSOR, t: encodeTensor(value as Tensor, "") };
  }
}

function encodeText(text: string): Uint8Array {
  const bytes = new Uint8Array(protobuf.util.utf8.length(text));
  protobuf.util.utf8.write(text, bytes, 0);
  return bytes;
}

function encodeTensor(tensor: Tensor, name: string): ITensor {
  const { buffer, byteOffset, byteLength } = tensor.data;
  const rawData = new Uint8Array(buffer, byteOffset, byteLength);
  return { name, dataType: dataTypeNumbers[tensor.elemType], dims: [...tensor.dims], rawData };
}

function encodeValueInfo(value: Value, names: ReadonlyMap<Value, string>): IValueInfo {
  return { name: names.get(value) ?? "", type: encodeType(value.type) };
}

function encodeType(type: ValueType): IType {
  const elemType = dataTypeNumbers[type.elemType];
  if (type.kind === "sequence") return { sequenceType: { elemType: { tensorType: { elemType } } } };
  const dim = type.shape.map((size) => (typeof size === "number" ? { dimValue: size } : { dimParam: size }));
  return { tensorType: { elemType, shape: { dim } } };
}

function constantOf(value: Value): Tensor {
  if (!value.constant) throw new TypeError(`${value.name ?? "a value"} is not a constant`);
  return value.constant;
}

// --- reading ---

/**
 * The model in an .onnx file's bytes, its types inferred anew. `where` names the file in errors.
 * Throws UserError where the bytes are no ONNX model, or use what this project does not know (naming the node).
 */
export function decodeModel(bytes: Uint8Array, where = "the model"): Model {
  const proto = parse(bytes, where);
  if (!proto.graph?.node) throw new UserError(`${where} is not an ONNX model: it holds no graph.`);
  try {
    const opsets = decodeOpsets(proto);
    const opset = opsets.get("") ?? 0;
    return {
      graph: decodeGraph(proto.graph, opsets),
      irVersion: Number(proto.irVersion),
      opset,
      producerName: proto.producerName ?? "",
      docString: proto.docString ?? "",
      metadataProps: metadataOf(proto),
    };
  } catch (error) {
    throw new UserError(`${where} cannot be used: ${(error as Error).message}.`, { cause: error });
  }
}

/** The metadata in an .onnx file's bytes, of whatever operators. Throws UserError where they are no ONNX model. */
export function decodeMetadata(bytes: Uint8Array, where = "the model"): Record<string, string> {
  const proto = parse(bytes, where);
  if (!proto.graph?.node) throw new UserError(`${where} is not an ONNX model: it holds no graph.`);
  return metadataOf(proto);
}

function metadataOf({ metadataProps }: IModel): Record<string, string> {
  return Object.fromEntries((metadataProps ?? []).map(({ key, value }) => [key ?? "", value ?? ""]));
}

/** The version of every domain that a file imports. Before 11, operators of ai.onnx of the same name took other inputs and attributes. */
function decodeOpsets({ opsetImport }: IModel): Map<string, number> {
  const imports = (opsetImport ?? []).map(
    ({ domain, version }) => [canonicalDomain(domain), Number(version)] as const,
  );
  const opsets = new Map(imports);
  const opset = opsets.get("") ?? 0;
  if (opset < 11) throw new Error(`it imports opset ${opset} of ai.onnx, and only 11 and later are known`);
  return opsets;
}

/** A domain as we write it: ai.onnx has two names. */
function canonicalDomain(domain: string | null | undefined): string {
  return domain === "ai.onnx" ? "" : (domain ?? "");
}

function parse(bytes: Uint8Array, where: string): IModel {
  try {
    return onnx.ModelProto.decode(bytes);
  } catch (error) {
    throw new UserError(`${where} is not an ONNX model, or it is cut off.`, { cause: error });
  }
}

function decodeGraph(proto: IGraph, opsets: ReadonlyMap<string, number>): Graph {
  const g = createBuilder(new Graph(proto.name ?? ""));
  const values = new Map<string, Value>();
  const initializers = new Map((proto.initializer ?? []).map((tensor) => [tensor.name ?? "", tensor]));
  for (const info of proto.input ?? []) {
    const name = info.name ?? "";
    // before IR version 4 initializers were inputs too
    if (!initializers.has(name)) values.set(name, g.inputOf(name, decodeType(info.type, name)));
  }
  for (const [name, tensor] of initializers) values.set(name, g.constant(decodeTensor(tensor, name), name));
  const file = { opsets, types: declaredTypes(proto) };
  for (const node of proto.node ?? []) decodeNode(g, node, values, file);
  for (const { name } of proto.output ?? []) {
    const value = values.get(name ?? "");
    if (!value) throw new Error(`nothing makes the output ${name}`);
    g.output(value, name ?? "");
  }
  nameValues(g.graph);
  derivePhases(g.graph);
  return g.graph;
}

/** What a node's meaning depends on besides itself. */
interface FileContext {
  /** The version of every domain that the file imports. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly types: ReadonlyMap<string, ValueType>;
}

/** The types that a file declares for what its nodes make, where it gives a shape. */
function declaredTypes({ valueInfo, output }: IGraph): Map<string, ValueType> {
  const shaped = [...(valueInfo ?? []), ...(output ?? [])].filter(({ type }) => type?.tensorType?.shape);
  return new Map(shaped.map(({ name, type }) => [name ?? "", decodeType(type, name ?? "")]));
}

function decodeNode(g: Builder, proto: INode, values: Map<string, Value>, file: FileContext): void {
  const opType = proto.opType ?? "";
  const name = proto.name || (proto.output?.find((output) => output !== "") ?? opType);
  const inputs = (proto.input ?? []).map((input) => {
    const value = values.get(input);
    if (input !== "" && !value) throw new Error(`${opType} at ${name} reads ${input}, which nothing makes`);
    return value ?? null;
  });
  const attributes = Object.fromEntries(
    (proto.attribute ?? []).map((attribute) => [attribute.name ?? "", decodeAttribute(attribute, name)]),
  );
  const declared = (proto.output ?? []).map((output) => file.types.get(output));
  const domain = canonicalDomain(proto.domain);
  const opset = file.opsets.get(domain) ?? 1;
  const outputs = importNode(g, { domain, opType, name, opset, inputs, attributes, declared });
  for (const [i, output] of (proto.output ?? []).entries()) {
    const value = outputs[i];
    if (!value || output === "") continue;
    value.name ??= output;
    values.set(output, value);
  }
}

function decodeAttribute({ type, i, f, s, ints, floats, t, name }: IAttribute, node: string): unknown {
  const types = onnx.AttributeProto.AttributeType;
  switch (type) {
    case types.INT:
      return Number(i);
    case types.FLOAT:
      return shortestFloat(f ?? 0);
    case types.STRING:
      return s ? protobuf.util.utf8.read(s, 0, s.length) : "";
    case types.INTS:
      return (ints ?? []).map(Number);
    case types.FLOATS:
      return (floats ?? []).map(shortestFloat);
    case types.TENSOR:
      return t && decodeTensor(t, name ?? "");
    default:
      throw new Error(`attribute ${name} at ${node} is of a kind that is not supported`);
  }
}

/** The shortest decimal that is the same float32: 0.1 where the file's bits say 0.10000000149. */
function shortestFloat(value: number): number {
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

function decodeTensor(proto: ITensor, name: string): Tensor {
  const elemType = dataTypeOf(proto.dataType ?? 0);
  if (!isNumeric(elemType)) throw new Error(`tensor ${name} is of type ${elemType}, which is not supported`);
  if (proto.dataLocation === onnx.TensorProto.DataLocation.EXTERNAL) {
    throw new Error(`tensor ${name} lies in another file, which is not supported`);
  }
  const dims = (proto.dims ?? []).map(Number);
  if (proto.rawData && proto.rawData.length > 0) {
    return new Tensor(elemType, dims, dataFromBytes(elemType, proto.rawData));
  }
  const fields = [proto.floatData, proto.int32Data, proto.int64Data, proto.doubleData, proto.uint64Data];
  const list = fields.find((field) => field && field.length > 0) ?? [];
  const data = allocate(elemType, list.length);
  const isBig = data instanceof BigInt64Array || data instanceof BigUint64Array;
  for (const [i, element] of list.entries()) data[i] = isBig ? BigInt(String(element)) : Number(element);
  return new Tensor(elemType, dims, data);
}

function decodeType(proto: IType | null | undefined, name: string): ValueType {
  const sequence = proto?.sequenceType?.elemType?.tensorType;
  if (sequence) return { kind: "sequence", elemType: dataTypeOf(sequence.elemType ?? 0) };
  const tensor = proto?.tensorType;
  if (!tensor) throw new Error(`input ${name} is neither a tensor nor a sequence of tensors`);
  if (!tensor.shape) throw new Error(`input ${name} has no shape`);
  const shape: Shape = (tensor.shape.dim ?? []).map(
    ({ dimParam, dimValue }, i): Dim => dimParam || (dimValue ? Number(dimValue) : `${name}_dim${i}`),
  );
  return tensorType(dataTypeOf(tensor.elemType ?? 0), shape);
}
