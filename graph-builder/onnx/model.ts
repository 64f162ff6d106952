import {
  type FunctionDefinition,
  type Graph,
  type Model,
  type Node,
  newestRunIrVersion,
  type Value,
} from "../ir.ts";
import { type Lowering, lower } from "../lowerings/lower.ts";
import { normalization } from "../lowerings/normalization.ts";
import { freeName, isUsed, nameSubgraph, nameValues, outputNames } from "../names.ts";
import { inlineFunctions } from "../passes/inline-functions.ts";
import { notesWithPhase } from "../phases.ts";
import type { Tensor } from "../tensor.ts";
import { encodeAttribute, graphAttribute } from "./attributes.ts";
import type { WrittenNode } from "./export-forms/form.ts";
import { writtenNode } from "./export-forms/index.ts";
import { keptAttributes } from "./keep.ts";
import { encodeMetadataProps, withNotes } from "./notes.ts";
import { encodeImports, importedOpset } from "./opset-imports.ts";
import type { Message } from "./schema.ts";
import { encodeTensor } from "./tensors.ts";
import { encodeType } from "./type-proto.ts";
import { encodeMessage } from "./wire.ts";

export type IGraph = Message<"GraphProto">;
export type INode = Message<"NodeProto">;
type IFunction = Message<"FunctionProto">;
type IValueInfo = Message<"ValueInfoProto">;

/**
 * The model as the bytes of an .onnx file; the same model always gives the same bytes. What the opset cannot
 * say is written in other operators where there are any (RMSNormalization before opset 23). Throws UserError,
 * naming the node, where there are none.
 */
export function encodeModel(model: Model, { hasInnerTypes = true }: EncodingOptions = {}): Uint8Array {
  const { irVersion, opset } = model;
  const graph = withoutSimplified(model.graph, opset);
  // functions came with IR version 8
  const written = { ...model, graph: irVersion < 8 ? inlineFunctions.run(graph) : graph };
  const { valueInfo, ...message } = encodeGraph(written.graph, opset);
  return encodeAround(written, hasInnerTypes ? { ...message, valueInfo } : message);
}

/** How a model is written. */
export interface EncodingOptions {
  /** Whether the file has the types of values inside the graph; true where left out. */
  readonly hasInnerTypes?: boolean | undefined;
}

/**
 * SimplifiedLayerNormalization is known to ONNX Runtime alone: it is written as RMSNormalization where the
 * opset has that and nothing reads the statistics, else in primitive operators.
 */
function withoutSimplified(graph: Graph, opset: number): Graph {
  const isSimplified = ({ opType }: Node) => opType === "SimplifiedLayerNormalization";
  if (!graph.withInnerGraphs().some(({ nodes }) => nodes.some(isSimplified))) return graph;
  const rule: Lowering["SimplifiedLayerNormalization"] = (g, call) =>
    opset >= 23 && !call.isUsed(1) ? undefined : normalization.SimplifiedLayerNormalization(g, call);
  return lower({ SimplifiedLayerNormalization: rule }).run(graph);
}

/**
 * The bytes of a file whose graph contains the model's graph: what the file says besides its graph follows
 * from the model.
 */
export function encodeAround(model: Model, graph: IGraph): Uint8Array {
  const { irVersion, opset } = model;
  return encodeMessage("ModelProto", {
    ...model.otherFields,
    irVersion: Math.min(irVersion, newestRunIrVersion),
    producerName: model.producerName,
    docString: model.docString,
    opsetImport: encodeImports(model.graph, opset),
    metadataProps: encodeMetadataProps(model.metadataProps),
    functions: model.graph.functions().map((definition) => encodeFunction(definition, opset)),
    graph,
  });
}

/**
 * A graph as it is written in a file of an opset; a body is given the names of its values. Throws Error where
 * two values have one name.
 */
export function encodeGraph(graph: Graph, opset: number, given = nameValues(graph)): IGraph {
  const { names, nodes, constants } = writtenNodes(graph, opset, given);
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
function writtenNodes(graph: Graph, opset: number, names = nameValues(graph)) {
  let taken: Set<string> | undefined;
  const constants = new Set<Value>();
  const nodes = graph.nodes.map((node) => {
    const written = writtenNode(node, opset);
    for (const value of node.operator.kept || node.subgraph ? node.inputs : written.inputs) {
      if (!value?.constant) continue;
      constants.add(value);
      if (names.has(value)) continue;
      taken ??= new Set(names.values());
      names.set(value, freeName(`${node.name.replaceAll("/", ".")}.axes`, taken));
    }
    return encodeNode(node, written, { output: outputNames(graph, node, names), names, opset });
  });
  for (const value of graph.outputs) if (value.constant) constants.add(value);
  return { names, nodes, constants: [...constants] };
}

interface NodeContext {
  readonly output: readonly string[];
  readonly names: ReadonlyMap<Value, string>;
  readonly opset: number;
}

function encodeNode(node: Node, written: WrittenNode, { output, names, opset }: NodeContext): INode {
  const { domain, opType = written.opType ?? node.opType, kept } = node.operator;
  const message: INode = {
    name: node.name,
    opType,
    domain,
    input: written.inputs.map((value) => (value ? (names.get(value) ?? "") : "")),
    output,
    attribute: kept
      ? keptAttributes(node, kept, names)
      : written.attributes.map(([name, kind, value]) =>
          kind === "graph"
            ? graphAttribute(name, encodeSubgraph(node, names, opset))
            : encodeAttribute(name, kind, value),
        ),
  };
  return withNotes(message, notesWithPhase(node));
}

/** The body of a Scan, which reads the values around it by their names. */
function encodeSubgraph(node: Node, names: ReadonlyMap<Value, string>, opset: number): IGraph {
  const { subgraph } = node;
  if (!subgraph) throw new TypeError(`${node.opType} at ${node.name} has no body`);
  const { graph, captured } = subgraph;
  const encoded = encodeGraph(graph, opset, nameSubgraph(subgraph, node, names));
  return { ...encoded, input: encoded.input?.slice(0, graph.inputs.length - captured) };
}

function encodeValueInfo(value: Value, names: ReadonlyMap<Value, string>): IValueInfo {
  return withNotes<IValueInfo>({ name: names.get(value) ?? "", type: encodeType(value.type) }, value.notes);
}

function constantOf(value: Value): Tensor {
  if (!value.constant) throw new TypeError(`${value.name ?? "a value"} is not a constant`);
  return value.constant;
}

/** Whether a file's function is the one that a definition writes at the opset of the file's. */
export function isSameFunction(proto: IFunction, definition: FunctionDefinition): boolean {
  const opset = importedOpset(proto.opsetImport);
  if (opset === undefined) return false;
  const [theirs, ours] = [proto, encodeFunction(definition, opset)].map((each) =>
    encodeMessage("FunctionProto", each),
  );
  return theirs?.length === ours?.length && theirs?.every((byte, i) => byte === ours?.[i]) === true;
}
