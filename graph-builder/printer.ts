import { type FunctionDefinition, type Graph, type Model, type Node, Subgraph, type Value } from "./ir.ts";
import { nameSubgraph, nameValues, outputNames } from "./names.ts";
import { explicitInputs, keptAttributes } from "./onnx/keep.ts";
import { opsetImports } from "./onnx/opset-imports.ts";
import { identifier, printAttribute as printAttributeText, printFloat, quoted } from "./onnx/text.ts";
import type { AttributeKind } from "./operators/schema.ts";
import { Tensor } from "./tensor.ts";
import { tensorType, type ValueType } from "./types.ts";

/** How a model is printed. */
export interface PrintOptions {
  /**
   * How many elements of a constant are shown, 8 where left out; a longer one ends with `...`, which ONNX's
   * parser refuses.
   */
  readonly elements?: number | undefined;
}

type Names = ReadonlyMap<Value, string>;

/** The model in ONNX's textual syntax (onnx/onnx docs/Syntax.md): header, graph, model-local functions. */
export function printModel(model: Model, options: PrintOptions = {}): string {
  const { graph, irVersion, opset, producerName, docString, metadataProps } = model;
  const header = printHeader({
    ir_version: String(irVersion),
    opset_import: printImports(opsetImports(graph, opset)),
    producer_name: producerName && quoted(producerName),
    doc_string: docString && quoted(docString),
    metadata_props: printMetadata(metadataProps),
  });
  const bodies = graph.functions().map((definition) => printFunction(definition, opset, options));
  return [header, printGraph(graph, options), ...bodies].join("\n");
}

/** The graph in ONNX's textual syntax. */
export function printGraph(graph: Graph, options: PrintOptions = {}): string {
  return printNamed(graph, graph.inputs, nameValues(graph), options);
}

/** A body, which reads the values around it by their names. */
function printSubgraph(node: Node, subgraph: Subgraph, outer: Names, options: PrintOptions): string {
  const { graph, captured } = subgraph;
  const inputs = graph.inputs.slice(0, graph.inputs.length - captured);
  const text = printNamed(graph, inputs, nameSubgraph(subgraph, node, outer), options);
  return text.replaceAll("\n", "\n  ");
}

function printNamed(graph: Graph, inputs: readonly Value[], names: Names, options: PrintOptions): string {
  const declare = (value: Value) => `${printType(value.type)} ${identifier(names.get(value))}`.trimStart();
  const constants = graph.initializers.map(
    (value) => `${declare(value)} = ${printData(value.constant, options)}`,
  );
  const signature = [inputs, graph.outputs].map((values) => `(${values.map(declare).join(", ")})`);
  return [
    `${identifier(graph.name)} ${signature.join(" => ")}`,
    ...(constants.length > 0 ? [`<${constants.join(", ")}>`] : []),
    ...printNodes(graph, names, options),
  ].join("\n");
}

/** A model-local function; its constants are Constant nodes, because a function has no initializers. */
function printFunction(
  { domain, body: graph }: FunctionDefinition,
  opset: number,
  options: PrintOptions,
): string {
  const names = nameValues(graph);
  const list = (values: readonly Value[]) => values.map((value) => identifier(names.get(value))).join(", ");
  const constants = graph.initializers.map((value) => {
    const data = printTensor(value.constant, options);
    return `  ${identifier(names.get(value))} = Constant <value = ${data}> ()`;
  });
  const [open = "", ...nodes] = printNodes(graph, names, options);
  return [
    printHeader({
      domain: quoted(domain),
      opset_import: printImports(opsetImports(graph, opset)),
    }),
    `${identifier(graph.name)} (${list(graph.inputs)}) => (${list(graph.outputs)})`,
    open,
    ...constants,
    ...nodes,
  ].join("\n");
}

/** Fields between angle brackets, without the empty ones. */
function printHeader(fields: Readonly<Record<string, string>>): string {
  const given = Object.entries(fields).filter(([, value]) => value !== "");
  return `<\n${given.map(([key, value]) => `  ${key}: ${value}`).join(",\n")}\n>`;
}

function printImports(imports: readonly (readonly [domain: string, version: number])[]): string {
  return `[${imports.map(([domain, version]) => `${quoted(domain)} : ${version}`).join(", ")}]`;
}

function printMetadata(entries: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(entries).map(([key, value]) => `${quoted(key)}: ${quoted(value)}`);
  return pairs.length > 0 ? `[${pairs.join(", ")}]` : "";
}

function printNodes(graph: Graph, names: Names, options: PrintOptions): string[] {
  return ["{", ...graph.nodes.map((node) => `  ${printNode(graph, node, names, options)}`), "}"];
}

function printNode(graph: Graph, node: Node, names: Names, options: PrintOptions): string {
  const { domain, opType = node.opType, kept } = node.operator;
  const read = kept ? explicitInputs(node.inputs, kept) : node.listedInputs;
  const inputs = read.map((value) => (value ? names.get(value) : ""));
  const given = kept
    ? keptAttributes(node, kept, names).map((attribute) => printAttributeText(attribute, options))
    : givenAttributes(node).map(([name, kind, value]) =>
        value instanceof Subgraph
          ? `${name} = ${printSubgraph(node, value, names, options)}`
          : printAttribute([name, kind, value], options),
      );
  const list = given.length > 0 ? ` <${given.join(", ")}>` : "";
  const operator = domain ? `${domain}.${opType}` : opType;
  const outputs = outputNames(graph, node, names).map(identifier);
  return `${outputs.join(", ")} = ${operator}${list} (${inputs.map(identifier).join(", ")})`;
}

/** An attribute of a node as a file carries it. */
export type GivenAttribute = readonly [name: string, kind: AttributeKind, value: unknown];

/** The attributes of a node that differ from its operator's defaults: what the file carries. */
export function givenAttributes({ operator, attributes }: Node): GivenAttribute[] {
  const specs = operator.attributes;
  const values = attributes as Readonly<Record<string, unknown>>;
  const given: GivenAttribute[] = [];
  for (const name of Object.keys(values)) {
    const [value, spec] = [values[name], specs[name]];
    if (value !== undefined && value !== spec?.default) given.push([name, spec?.kind ?? "int", value]);
  }
  return given;
}

function printAttribute([name, kind, value]: GivenAttribute, options: PrintOptions): string {
  if (Array.isArray(value) && value.length === 0) return `${name} : ${kind} = []`;
  return `${name} = ${printAttributeValue(kind, value, options)}`;
}

function printAttributeValue(kind: AttributeKind, value: unknown, options: PrintOptions): string {
  if (value instanceof Tensor) return printTensor(value, options);
  if (Array.isArray(value))
    return `[${value.map(kind === "floats" ? printFloat : kind === "strings" ? quoted : String).join(", ")}]`;
  if (kind === "string") return quoted(String(value));
  return kind === "float" ? printFloat(Number(value)) : String(value);
}

function printTensor(tensor: Tensor | undefined, options: PrintOptions): string {
  return tensor
    ? `${printType(tensorType(tensor.elemType, tensor.dims))} ${printData(tensor, options)}`
    : "{}";
}

function printData(tensor: Tensor | undefined, { elements = 8 }: PrintOptions): string {
  if (!tensor) return "{}";
  const shown = Array.from(tensor.data.slice(0, elements), String);
  return `{${shown.join(", ")}${tensor.data.length > shown.length ? ", ..." : ""}}`;
}

function printType(type: ValueType): string {
  if (type.kind === "sequence") return `seq(${type.elemType}[])`;
  if (type.kind === "other") return type.text;
  const dims = type.shape.map((dim) => (typeof dim === "number" ? String(dim) : identifier(String(dim))));
  return dims.length === 0 ? type.elemType : `${type.elemType}[${dims.join(", ")}]`;
}
