import { createBuilder } from "../builder.ts";
import { UserError } from "../errors.ts";
import { type FunctionDefinition, Graph, irVersionOf, type Model, newestOpset } from "../ir.ts";
import { isUsed, nameValues } from "../names.ts";
import { derivePhases } from "../phases.ts";
import type { ValueType } from "../types.ts";
import { decodeNode, type FileContext, type Values } from "./decode-node.ts";
import { type ExternalData, withExternalData } from "./external-data.ts";
import { fileFunctions, noCaller } from "./functions.ts";
import { keepTensor } from "./keep.ts";
import { type IGraph, type INode, isSameFunction } from "./model.ts";
import { decodeMetadataProps, decodeNotes } from "./notes.ts";
import { decodeImports } from "./opset-imports.ts";
import { messagesReadWhole, parseModel } from "./parse.ts";
import { type Message, type MessageName, schema } from "./schema.ts";
import { capturedNames } from "./subgraphs.ts";
import { decodeSparseTensor, decodeTensor, isHeld } from "./tensors.ts";
import { declaredTypes, decodeType } from "./type-proto.ts";

/** The fields of messages that are read here; the others are kept as notes of what the message is for. */
const readFields = {
  model: fieldSet<"ModelProto">("irVersion", "opsetImport", "producerName", "graph", "functions"),
  graph: fieldSet<"GraphProto">(
    "name",
    "node",
    "initializer",
    "sparseInitializer",
    "input",
    "output",
    "valueInfo",
  ),
  value: fieldSet<"ValueInfoProto">("name", "type"),
  tensor: new Set(
    Object.keys(schema.TensorProto).filter((name) => name !== "docString" && name !== "metadataProps"),
  ),
};

function fieldSet<K extends MessageName>(...names: readonly (keyof Message<K>)[]): ReadonlySet<string> {
  return new Set(names.map(String));
}

/** What a reader of files knows besides the operators. */
export interface DecodeOptions {
  /**
   * Functions whose calls are kept as they are in the file; every other function of the file is written out.
   */
  readonly functions?: readonly FunctionDefinition[] | undefined;
  /**
   * What happens to a node that is not covered: an unknown operator, a Loop, a form that is not supported.
   * `keep` leaves it as the file has it: it is printed, written and run, and no gradient goes through it.
   * `refuse`, which is the default, throws an error that names the node.
   */
  readonly uncovered?: "keep" | "refuse" | undefined;
  /** The outputs, or inner values, that are wanted: nodes that no such value needs are left out. */
  readonly outputs?: readonly string[] | undefined;
  /** The files beside the model that hold elements of its tensors (`externalLocations`). */
  readonly externalData?: ExternalData | undefined;
}

/**
 * The model in an .onnx file's bytes, of opset 9 or later, its types inferred anew; nodes of opsets 9 and 10
 * get the forms of opset 11. `where` names the file in errors. Throws UserError where the bytes are no ONNX
 * model, or use what this project does not know (naming the node).
 */
export function decodeModel(bytes: Uint8Array, where = "the model", options: DecodeOptions = {}): Model {
  const { functions = [], externalData = new Map() } = options;
  const proto = withExternalData(parseModel(bytes, where, messagesReadWhole), externalData, where);
  try {
    if (proto.trainingInfo) throw new Error("it has a training_info, which is not supported");
    const opsets = decodeImports(proto.opsetImport);
    const known = fileFunctions(proto.functions ?? [], functions, isSameFunction);
    const irVersion = Number(proto.irVersion);
    const opset = Math.max(11, opsets.get("") ?? newestOpset(irVersion));
    return {
      graph: decodeGraph(proto.graph, { opsets, functions: known }, options),
      irVersion: Math.max(irVersion, irVersionOf(opset)),
      opset,
      producerName: proto.producerName ?? "",
      docString: proto.docString ?? "",
      metadataProps: decodeMetadataProps(proto.metadataProps),
      otherFields: decodeNotes(proto, readFields.model)?.otherFields,
    };
  } catch (error) {
    if (error instanceof UserError) throw error;
    const reason = (error as Error).message;
    throw new UserError(`${where} cannot be used: ${reason}.`, {
      cause: error,
      code: "model-unsupported",
      details: { where, reason },
    });
  }
}

function decodeGraph(
  proto: IGraph,
  model: Pick<FileContext, "opsets" | "functions">,
  { outputs, uncovered = "refuse" }: DecodeOptions,
): Graph {
  const g = createBuilder(new Graph(proto.name ?? ""));
  g.graph.notes = decodeNotes(proto, readFields.graph);
  const types = declaredTypes(proto);
  const made = new Set((proto.node ?? []).flatMap(({ output = [] }) => output));
  const file: FileContext = { ...model, g, types, caller: noCaller, made, uncovered, sequences: new Map() };
  const values: Values = new Map();
  decodeInputs(proto, values, file);
  const wanted = outputs ?? (proto.output ?? []).map(({ name = "" }) => name);
  const nodes = outputs ? neededNodes(proto.node ?? [], outputs) : (proto.node ?? []);
  for (const each of nodes) decodeNode(each, values, file);
  const { input = [], valueInfo = [], output = [] } = proto;
  for (const info of [...input, ...valueInfo, ...output]) {
    const value = values.get(info.name ?? "");
    if (value) value.notes ??= decodeNotes(info, readFields.value);
  }
  for (const name of wanted) {
    const value = values.get(name);
    if (!value) throw new Error(`nothing makes the output ${name}`);
    g.output(value, name);
  }
  removeUnreadSequences(file);
  nameValues(g.graph);
  if (g.graph.nodes.every(({ phase }) => phase === "forward")) derivePhases(g.graph);
  return g.graph;
}

/** Adds a graph's inputs and constants to the values. */
function decodeInputs(proto: IGraph, values: Values, file: FileContext): void {
  const { initializer = [], sparseInitializer = [], input = [] } = proto;
  const { g, opsets, uncovered } = file;
  const constants = new Set(initializer.map(({ name }) => name ?? ""));
  for (const { name = "", type } of input) {
    // before IR version 4 initializers were inputs too
    if (!constants.has(name))
      values.set(name, g.inputOf(name, inputType(decodeType(type, name), name, uncovered)));
  }
  for (const tensor of initializer) {
    const { name = "" } = tensor;
    const isKept = uncovered === "keep" && !isHeld(tensor);
    const value = isKept ? keepTensor(g, tensor, opsets) : g.constant(decodeTensor(tensor, name), name);
    value.notes = decodeNotes(tensor, readFields.tensor);
    values.set(name, value);
  }
  for (const tensor of sparseInitializer) {
    const name = tensor.values?.name ?? "";
    values.set(name, g.constant(decodeSparseTensor(tensor, name), name));
  }
}

function inputType(type: ValueType, name: string, uncovered: FileContext["uncovered"]): ValueType {
  if (type.kind !== "other" || uncovered === "keep") return type;
  throw new Error(`input ${name} has no shape, or is no tensor`);
}

/** The nodes that the values of some names depend on, in the file's order. */
function neededNodes(nodes: readonly INode[], names: readonly string[]): INode[] {
  const needed = new Set(names);
  const kept: INode[] = [];
  for (const node of [...nodes].reverse()) {
    if (!node.output?.some((output) => needed.has(output))) continue;
    kept.push(node);
    for (const input of [...(node.input ?? []), ...capturedNames(node.attribute ?? [])]) needed.add(input);
  }
  return kept.reverse();
}

/**
 * Removes the sequences that nothing reads, because their tensors are read in their place. Throws Error where
 * one is read and such nodes are refused.
 */
function removeUnreadSequences({ g, sequences, uncovered }: FileContext): void {
  for (const sequence of [...sequences.keys()].reverse()) {
    const { producer } = sequence;
    if (!producer) continue;
    if (!isUsed(g.graph, sequence)) g.graph.remove(new Set([producer]));
    else if (uncovered === "refuse")
      throw new Error(`${producer.name} makes a sequence that is not resolved`);
  }
}
