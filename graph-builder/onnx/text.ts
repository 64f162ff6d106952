import protobuf from "protobufjs/minimal.js";
import { dataTypeNumbers } from "../operators/elementwise.ts";
import type { Message } from "./schema.ts";
import { decodeTensor, isHeld } from "./tensors.ts";
import { formatTypeProto } from "./type-proto.ts";

type IAttribute = Message<"AttributeProto">;
type IGraph = Message<"GraphProto">;
type INode = Message<"NodeProto">;
type ITensor = Message<"TensorProto">;
type IValueInfo = Message<"ValueInfoProto">;

/** How messages are printed. */
export interface TextOptions {
  /** How many elements of a constant are shown, 8 where left out. */
  readonly elements?: number | undefined;
}

/** An attribute of a file in ONNX's textual syntax (onnx/onnx docs/Syntax.md), graphs in it included. */
export function printAttribute(attribute: IAttribute, options: TextOptions = {}): string {
  const { name = "", refAttrName, g, graphs } = attribute;
  if (refAttrName) return `${name} = @${refAttrName}`;
  if (g) return `${name} = ${printGraphText(g, options)}`;
  if (graphs) return `${name} = [${graphs.map((graph) => printGraphText(graph, options)).join(", ")}]`;
  return `${name} = ${printValue(attribute, options)}`;
}

function printValue(attribute: IAttribute, options: TextOptions): string {
  const { i, f, s, t, tp, ints, floats, strings, tensors, typeProtos, sparseTensor } = attribute;
  if (t) return printTensorText(t, options);
  if (sparseTensor) return `sparse ${printTensorText(sparseTensor.values ?? {}, options)}`;
  if (tp) return formatTypeProto(tp);
  if (s) return quotedBytes(s);
  if (f !== undefined) return printFloat(f);
  const lists = [
    ints?.map(String),
    floats?.map(printFloat),
    strings?.map(quotedBytes),
    tensors?.map((tensor) => printTensorText(tensor, options)),
    typeProtos?.map(formatTypeProto),
  ];
  const list = lists.find((each) => each !== undefined && each.length > 0);
  return list ? `[${list.join(", ")}]` : i === undefined ? "[]" : String(i);
}

/** A graph of a file in ONNX's textual syntax, in one line. */
function printGraphText(graph: IGraph, options: TextOptions): string {
  const { name = "", input = [], output = [], initializer = [], node = [] } = graph;
  const list = (values: readonly IValueInfo[]) => values.map(printValueInfo).join(", ");
  const constants = initializer.map(
    (tensor) => `${printTensorType(tensor)} ${identifier(tensor.name)} = ${printElements(tensor, options)}`,
  );
  const head = `${identifier(name)} (${list(input)}) => (${list(output)})`;
  const given = constants.length > 0 ? ` <${constants.join(", ")}>` : "";
  return `${head}${given} { ${node.map((each) => printNodeText(each, options)).join("; ")} }`;
}

function printNodeText(
  { opType, domain, input = [], output = [], attribute = [] }: INode,
  options: TextOptions,
) {
  const operator = domain ? `${domain}.${opType}` : String(opType);
  const given = attribute.map((each) => printAttribute(each, options));
  const list = given.length > 0 ? ` <${given.join(", ")}>` : "";
  return `${output.map(identifier).join(", ")} = ${operator}${list} (${input.map(identifier).join(", ")})`;
}

function printValueInfo({ name, type }: IValueInfo): string {
  const text = formatTypeProto(type);
  return text ? `${text} ${identifier(name)}` : identifier(name);
}

function printTensorText(tensor: ITensor, options: TextOptions): string {
  return `${printTensorType(tensor)} ${printElements(tensor, options)}`;
}

function printTensorType({ dataType, dims = [] }: ITensor): string {
  const elemType =
    Object.entries(dataTypeNumbers).find(([, number]) => number === dataType)?.[0] ?? `type ${dataType}`;
  return dims.length > 0 ? `${elemType}[${dims.join(", ")}]` : elemType;
}

function printElements(tensor: ITensor, { elements = 8 }: TextOptions): string {
  const all =
    tensor.stringData?.map(quotedBytes) ??
    (isHeld(tensor) ? [...decodeTensor(tensor, "").data].map(String) : ["..."]);
  return `{${all.slice(0, elements).join(", ")}${all.length > elements ? ", ..." : ""}}`;
}

function quotedBytes(bytes: Uint8Array): string {
  return quoted(protobuf.util.utf8.read(bytes, 0, bytes.length));
}

/** A float as the syntax has it: with a point, so that it is no integer. */
export function printFloat(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e21 ? value.toFixed(1) : String(value);
}

/** A name as it is where it is an identifier of the syntax, quoted where it is not, as those with dots. */
export function identifier(name = ""): string {
  return /^[A-Za-z_]\w*$/.test(name) ? name : quoted(name);
}

/** Text between quotation marks, with what cannot stand there escaped. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}
