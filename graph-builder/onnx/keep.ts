import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import type { Node, Value } from "../ir.ts";
import { dataTypeOf } from "../operators/elementwise.ts";
import { type KeptForm, keptOperator } from "../operators/kept.ts";
import { tensorType, unknownType, type ValueType } from "../types.ts";
import { canonicalDomain } from "./opset-imports.ts";
import type { Message } from "./schema.ts";
import { capturedNames, graphsOf, nodesWithin, withCapturedNames } from "./subgraphs.ts";

/** A node of a file that is kept as it is. */
export interface NodeToKeep {
  readonly domain: string;
  readonly opType: string;
  readonly name: string;
  readonly inputs: readonly (Value | null)[];
  /** The names of its outputs; empty for one that is left out. */
  readonly outputs: readonly string[];
  /** The types that the file declares for the outputs. */
  readonly declared: readonly (ValueType | undefined)[];
  readonly attributes: readonly Message<"AttributeProto">[];
  /** Why the node is not read further. */
  readonly reason: string;
}

/**
 * Appends a node as its file has it. `opsets` are the versions that the file imports; `valueNamed` returns
 * the value of a name that the graphs in the node's attributes read from around them.
 */
export function keepNode(
  g: Builder,
  node: NodeToKeep,
  opsets: ReadonlyMap<string, number>,
  valueNamed: (name: string) => Value = nothingCaptured,
): readonly Value[] {
  const { domain, opType, name, inputs, outputs, declared, attributes, reason } = node;
  const captured = capturedNames(attributes);
  const inner = [...nodesWithin(graphsOf(attributes))].map((each) => canonicalDomain(each.domain));
  const kept: KeptForm = {
    imports: new Map([domain, ...inner].map((each) => [each, opsets.get(each) ?? 1])),
    reason,
    attributes,
    captured,
  };
  const types = outputs.map((output, i) => ({ isNamed: output !== "", type: declared[i] ?? unknownType }));
  const operator = keptOperator({ domain, opType }, types, kept);
  const all = [...inputs, ...captured.map(valueNamed)];
  return g.nodeOf(operator, `${domain || "ai.onnx"}.${opType}`, all, name).outputs;
}

function nothingCaptured(name: string): never {
  throw new Error(`nothing makes ${name}`);
}

/** Keeps a constant whose elements are not held here, such as strings, as a Constant node. */
export function keepTensor(
  g: Builder,
  tensor: Message<"TensorProto">,
  opsets: ReadonlyMap<string, number>,
): Value {
  const { name = "", dataType = 0 } = tensor;
  const elemType = dataTypeOf(dataType);
  const node: NodeToKeep = {
    domain: "",
    opType: "Constant",
    name: g.freePath(name),
    inputs: [],
    outputs: [name],
    declared: [tensorType(elemType, (tensor.dims ?? []).map(Number))],
    attributes: [{ name: "value", type: TENSOR, t: tensor }],
    reason: `the tensor ${name} is of type ${elemType}, which is not supported`,
  };
  const value = at(keepNode(g, node, opsets), 0);
  value.name = name === "" ? undefined : name;
  return value;
}

/** AttributeProto.AttributeType.TENSOR. */
const TENSOR = 4;

/** The attributes of a kept node, whose graphs read the values around them by their names in the new file. */
export function keptAttributes(
  { inputs }: Node,
  { attributes, captured }: KeptForm,
  names: ReadonlyMap<Value, string>,
): readonly Message<"AttributeProto">[] {
  const values = inputs.slice(inputs.length - captured.length);
  const nameAt = (i: number) => names.get(values[i] ?? nothingCaptured(at(captured, i))) ?? "";
  return withCapturedNames(attributes, new Map(captured.map((name, i) => [name, nameAt(i)])));
}

/** The inputs of a kept node without the values that its attributes' graphs read. */
export function explicitInputs(
  inputs: readonly (Value | null)[],
  { captured }: KeptForm,
): readonly (Value | null)[] {
  const own = inputs.slice(0, inputs.length - captured.length);
  return own.slice(0, own.findLastIndex((input) => input !== null) + 1);
}
