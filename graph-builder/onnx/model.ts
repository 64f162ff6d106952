import { type Builder, createBuilder } from "../builder.ts";
import { UserError } from "../errors.ts";
import { type FunctionDefinition, Graph, type Model, type Node, type Value } from "../ir.ts";
import { freeName, isUsed, nameValues, outputNames } from "../names.ts";
import { dataTypeNumbers, dataTypeOf } from "../operators/elementwise.ts";
import { inlineFunctions } from "../passes/inline-functions.ts";
import { derivePhases, notesWithPhase, splitPhase } from "../phases.ts";
import type { Tensor } from "../tensor.ts";
import { tensorType, type ValueType } from "../types.ts";
import { decodeAttribute, encodeAttribute } from "./attributes.ts";
import type { WrittenNode } from "./export-forms/form.ts";
import { writtenNode } from "./export-forms/index.ts";
import {
  type Caller,
  type CallNode,
  type FileFunctions,
  fileFunctions,
  functionKey,
  inlineCall,
  noCaller,
  resolveAttributes,
} from "./functions.ts";
import { importNode } from "./import-forms/index.ts";
import { decodeMetadataProps, decodeNotes, encodeMetadataProps, withNotes } from "./notes.ts";
import { canonicalDomain, decodeImports, encodeImports, importedOpset } from "./opset-imports.ts";
import { parseModel } from "./parse.ts";
import { type Message, type MessageName, schema } from "./schema.ts";
import { decodeTensor, encodeTensor } from "./tensors.ts";
import { encodeMessage } from "./wire.ts";

export type IGraph = Message<"GraphProto">;
export type INode = Message<"NodeProto">;
type IFunction = Message<"FunctionProto">;
type IValueInfo = Message<"ValueInfoProto">;
type IType = Message<"TypeProto">;

// --- writing ---

/** The model as the bytes of an .onnx file; the same model always gives the same bytes. */
export function encodeModel(model: Model): Uint8Array {
  const { irVersion, opset, graph } = model;
  // functions came with IR version 8
  const written = irVersion < 8 ? { ...model, graph: inlineFunctions.run(graph) } : model;
  return encodeAround(written, encodeGraph(written.graph, opset));
}

/**
 * The bytes of a file whose graph contains the model's graph: what the file says besides its graph follows
 * from the model.
 */
export function encodeAround(model: Model, graph: IGraph): Uint8Array {
  const { irVersion, opset } = model;
  return encodeMessage("ModelProto", {
    ...model.otherFields,
    irVersion,
    producerName: model.producerName,
    docString: model.docString,
    opsetImport: encodeImports(model.graph, opset),
    metadataProps: encodeMetadataProps(model.metadataProps),
    functions: model.graph.functions().map((definition) => encodeFunction(definition, opset)),
    graph,
  });
}

/** A graph as it is written in a file of an opset. Throws Error where two values have one name. */
export function encodeGraph(graph: Graph, opset: number): IGraph {
  const { names, nodes, constants } = writtenNodes(graph, opset);
  const ends = new Set([...graph.inputs, ...graph.outputs]);
  const inner = graph.nodes
    .flatMap((node) => node.outputs)
    .filter((value) => !ends.has(value) && isUsed(graph, value));
  const message: IGraph = {
    name: graph.name,
    input: graph.inputs.map((value) => encodeValueInfo(value, names)),
    output: graph.outputs.map((value) => encodeValueInfo(value, names)),
    valueInfo: inner.map((value) => encodeValueInfo(value, names)),
    initializer: constants.map((value) =>
      withNotes(encodeTensor(constantOf(value), names.get(value) ?? ""), value.notes),
    ),
    node: nodes,
  };
  return withNotes(message, graph.notes);
}

/** A function has no initializers: its constants become Constant nodes. */
function encodeFunction({ domain, body: graph }: FunctionDefinition, opset: number): IFunction {
  const { names, nodes, constants } = writtenNodes(graph, opset);
  const constantNodes = constants.map((value) => ({
    opType: "Constant",
    output: [names.get(value) ?? ""],
    attribute: [encodeAttribute("value", "tensor", constantOf(value))],
  }));
  return {
    name: graph.name,
    domain,
    input: graph.inputs.map((value) => names.get(value) ?? ""),
    output: graph.outputs.map((value) => names.get(value) ?? ""),
    opsetImport: encodeImports(graph, opset),
    node: [...constantNodes, ...nodes],
  };
}

/**
 * The nodes of a graph in the forms of an opset, the constants that they and the outputs read, and the names
 * of all values.
 */
function writtenNodes(graph: Graph, opset: number) {
  const names = nameValues(graph);
  let taken: Set<string> | undefined;
  const constants = new Set<Value>();
  const nodes = graph.nodes.map((node) => {
    const written = writtenNode(node, opset);
    for (const value of written.inputs) {
      if (!value?.constant) continue;
      constants.add(value);
      if (names.has(value)) continue;
      taken ??= new Set(names.values());
      names.set(value, freeName(`${node.name.replaceAll("/", ".")}.axes`, taken));
    }
    return encodeNode(node, written, outputNames(graph, node, names), names);
  });
  for (const value of graph.outputs) if (value.constant) constants.add(value);
  return { names, nodes, constants: [...constants] };
}

function encodeNode(
  node: Node,
  { inputs, attributes }: WrittenNode,
  output: readonly string[],
  names: ReadonlyMap<Value, string>,
): INode {
  const { domain, opType = node.opType } = node.operator;
  const message: INode = {
    name: node.name,
    opType,
    domain,
    input: inputs.map((value) => (value ? (names.get(value) ?? "") : "")),
    output,
    attribute: attributes.map(([name, kind, value]) => encodeAttribute(name, kind, value)),
  };
  return withNotes(message, notesWithPhase(node));
}

function encodeValueInfo(value: Value, names: ReadonlyMap<Value, string>): IValueInfo {
  return withNotes<IValueInfo>({ name: names.get(value) ?? "", type: encodeType(value.type) }, value.notes);
}

/** A type as it is written in a file. */
export function encodeType(type: ValueType): IType {
  const elemType = dataTypeNumbers[type.elemType];
  if (type.kind === "sequence") return { sequenceType: { elemType: { tensorType: { elemType } } } };
  const dim = type.shape.map((size) =>
    typeof size === "number" ? { dimValue: size } : { dimParam: String(size) },
  );
  return { tensorType: { elemType, shape: { dim } } };
}

function constantOf(value: Value): Tensor {
  if (!value.constant) throw new TypeError(`${value.name ?? "a value"} is not a constant`);
  return value.constant;
}

// --- reading ---

/** The fields of messages that are read here; the others are kept as notes of what the message is for. */
const readFields = {
  model: fieldSet<"ModelProto">("irVersion", "opsetImport", "producerName", "graph", "functions"),
  graph: fieldSet<"GraphProto">("name", "node", "initializer", "input", "output", "valueInfo"),
  node: fieldSet<"NodeProto">("name", "opType", "domain", "overload", "input", "output", "attribute"),
  value: fieldSet<"ValueInfoProto">("name", "type"),
  tensor: new Set(
    Object.keys(schema.TensorProto).filter((name) => name !== "docString" && name !== "metadataProps"),
  ),
};

/** The messages of which nothing is kept but what is read here: what else they say would be lost. */
const messagesReadWhole = new Set<string>([
  "AttributeProto",
  "TensorProto",
  "TypeProto",
  "TensorType",
  "SequenceType",
  "TensorShapeProto",
  "Dimension",
  "OperatorSetIdProto",
  "StringStringEntryProto",
  "FunctionProto",
] satisfies readonly MessageName[]);

function fieldSet<K extends MessageName>(...names: readonly (keyof Message<K>)[]): ReadonlySet<string> {
  return new Set(names.map(String));
}

/** What a reader of files knows besides the operators. */
export interface DecodeOptions {
  /**
   * Functions whose calls are kept as they are in the file; every other function of the file is written out.
   */
  readonly functions?: readonly FunctionDefinition[];
}

/**
 * The model in an .onnx file's bytes, its types inferred anew. `where` names the file in errors. Throws
 * UserError where the bytes are no ONNX model, or use what this project does not know (naming the node).
 */
export function decodeModel(
  bytes: Uint8Array,
  where = "the model",
  { functions = [] }: DecodeOptions = {},
): Model {
  const proto = parseModel(bytes, where, messagesReadWhole);
  try {
    if (proto.trainingInfo) throw new Error("it has a training_info, which is not supported");
    const opsets = decodeImports(proto.opsetImport);
    return {
      graph: decodeGraph(
        proto.graph,
        opsets,
        fileFunctions(proto.functions ?? [], functions, isSameFunction),
      ),
      irVersion: Number(proto.irVersion),
      opset: opsets.get("") ?? 0,
      producerName: proto.producerName ?? "",
      docString: proto.docString ?? "",
      metadataProps: decodeMetadataProps(proto.metadataProps),
      otherFields: decodeNotes(proto, readFields.model)?.otherFields,
    };
  } catch (error) {
    const reason = (error as Error).message;
    throw new UserError(`${where} cannot be used: ${reason}.`, {
      cause: error,
      code: "model-unsupported",
      details: { where, reason },
    });
  }
}

/**
 * The metadata in an .onnx file's bytes, of whatever operators. Throws UserError where they are no ONNX
 * model.
 */
export function decodeMetadata(bytes: Uint8Array, where = "the model"): Record<string, string> {
  return decodeMetadataProps(parseModel(bytes, where, messagesReadWhole).metadataProps);
}

function decodeGraph(proto: IGraph, opsets: ReadonlyMap<string, number>, functions: FileFunctions): Graph {
  const { name = "", node = [], initializer = [], input = [], output = [], valueInfo = [] } = proto;
  if (proto.sparseInitializer) throw new Error("it has sparse initializers, which are not supported");
  const g = createBuilder(new Graph(name));
  g.graph.notes = decodeNotes(proto, readFields.graph);
  const values = new Map<string, Value | null>();
  const initializers = new Map(initializer.map((tensor) => [tensor.name ?? "", tensor]));
  for (const { name: given = "", type } of input) {
    // before IR version 4 initializers were inputs too
    if (!initializers.has(given)) values.set(given, g.inputOf(given, decodeType(type, given)));
  }
  for (const [given, tensor] of initializers) {
    const value = g.constant(decodeTensor(tensor, given), given);
    value.notes = decodeNotes(tensor, readFields.tensor);
    values.set(given, value);
  }
  const file = { opsets, functions, types: declaredTypes(proto), caller: noCaller };
  for (const each of node) decodeNode(g, each, values, file);
  for (const info of [...input, ...valueInfo, ...output]) {
    const value = values.get(info.name ?? "");
    if (value) value.notes ??= decodeNotes(info, readFields.value);
  }
  for (const { name: given = "" } of output) {
    const value = values.get(given);
    if (!value) throw new Error(`nothing makes the output ${given}`);
    g.output(value, given);
  }
  nameValues(g.graph);
  if (g.graph.nodes.every(({ phase }) => phase === "forward")) derivePhases(g.graph);
  return g.graph;
}

/** What a node's meaning depends on besides itself. */
interface FileContext {
  /** The version of every domain that the file imports. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly functions: FileFunctions;
  /** The types that the file declares, by the names of the graph's values. */
  readonly types: ReadonlyMap<string, ValueType>;
  readonly caller: Caller;
}

/** The types that a file declares for what its nodes make, where it gives a shape. */
function declaredTypes({ valueInfo, output }: IGraph): Map<string, ValueType> {
  const shaped = [...(valueInfo ?? []), ...(output ?? [])].filter(({ type }) => type?.tensorType?.shape);
  return new Map(shaped.map(({ name, type }) => [name ?? "", decodeType(type, name ?? "")]));
}

function decodeNode(g: Builder, proto: INode, values: Map<string, Value | null>, file: FileContext): void {
  const { path } = file.caller;
  const opType = proto.opType ?? "";
  const own = proto.name || (proto.output?.find((output) => output !== "") ?? opType);
  const name = path ? `${path}/${own}` : own;
  const inputs = (proto.input ?? []).map((input) => {
    const value = input === "" ? null : values.get(input);
    if (value === undefined) throw new Error(`${opType} at ${name} reads ${input}, which nothing makes`);
    return value;
  });
  const { phase, notes } = splitPhase(decodeNotes(proto, readFields.node));
  const decode = () => decodeOutputs(g, proto, { name, inputs }, file);
  const outputs = phase ? g.during(phase, decode) : decode();
  const owner = outputs[0]?.producer ?? outputs[0];
  if (notes && owner) owner.notes ??= notes;
  for (const [i, output] of (proto.output ?? []).entries()) {
    const value = outputs[i];
    if (!value || output === "") continue;
    if (path === "") value.name ??= output;
    values.set(output, value);
  }
}

/**
 * Appends what a node stands for: a call of a function that is known, the body of another one, or an
 * operator.
 */
function decodeOutputs(
  g: Builder,
  proto: INode,
  { name, inputs }: Pick<CallNode, "name" | "inputs">,
  file: FileContext,
): readonly (Value | null)[] {
  const [domain, opType] = [canonicalDomain(proto.domain), proto.opType ?? ""];
  const given = resolveAttributes(proto.attribute ?? [], file.caller);
  const called = file.functions.get(functionKey(domain, opType, proto.overload));
  if (called && "body" in called) return g.callNode(called, inputs, name).outputs;
  if (called) {
    const inner = {
      ...file,
      opsets: decodeImports(called.opsetImport, file.opsets.get("")),
      types: new Map<string, ValueType>(),
    };
    return inlineCall(called, { name, inputs, attributes: given }, file.caller, (node, values, caller) =>
      decodeNode(g, node, values, { ...inner, caller }),
    );
  }
  if (proto.overload)
    throw new Error(`the overload ${proto.overload} of ${opType} at ${name} is not in the file`);
  const attributes = Object.fromEntries(
    given.map((attribute) => [attribute.name ?? "", decodeAttribute(attribute, name)]),
  );
  const declared = (proto.output ?? []).map((output) => file.types.get(output));
  const opset = file.opsets.get(domain) ?? 1;
  return importNode(g, { domain, opType, name, opset, inputs, attributes, declared });
}

/** Whether a file's function is the one that a definition writes at the opset of the file's. */
function isSameFunction(proto: IFunction, definition: FunctionDefinition): boolean {
  const opset = importedOpset(proto.opsetImport);
  if (opset === undefined) return false;
  const [theirs, ours] = [proto, encodeFunction(definition, opset)].map((each) =>
    encodeMessage("FunctionProto", each),
  );
  return theirs?.length === ours?.length && theirs?.every((byte, i) => byte === ours?.[i]) === true;
}

function decodeType(proto: IType | undefined, name: string): ValueType {
  const sequence = proto?.sequenceType?.elemType?.tensorType;
  if (sequence) return { kind: "sequence", elemType: dataTypeOf(sequence.elemType ?? 0) };
  const tensor = proto?.tensorType;
  if (!tensor) throw new Error(`input ${name} is neither a tensor nor a sequence of tensors`);
  if (!tensor.shape) throw new Error(`input ${name} has no shape`);
  const shape = (tensor.shape.dim ?? []).map(
    ({ dimParam, dimValue }, i) => dimParam || (dimValue ? Number(dimValue) : `${name}_dim${i}`),
  );
  return tensorType(dataTypeOf(tensor.elemType ?? 0), shape);
}
