import { type Builder, createBuilder } from "../builder.ts";
import { Graph, Subgraph, type Value } from "../ir.ts";
import { normalAxis, unsupported } from "../operators/inference.ts";
import { UnsupportedError } from "../operators/schema.ts";
import { splitPhase } from "../phases.ts";
import { tensorType, unknownType, type ValueType } from "../types.ts";
import { decodeAttribute } from "./attributes.ts";
import {
  type Caller,
  type CallNode,
  type FileFunctions,
  functionKey,
  inlineCall,
  resolveAttributes,
} from "./functions.ts";
import { importNode } from "./import-forms/index.ts";
import { keepNode, keepTensor } from "./keep.ts";
import type { INode } from "./model.ts";
import { decodeNotes } from "./notes.ts";
import { canonicalDomain, decodeImports } from "./opset-imports.ts";
import type { Message } from "./schema.ts";
import { resolveSequence, type Sequences } from "./sequences.ts";
import { capturedNames, graphsOf } from "./subgraphs.ts";
import { decodeTensor, isHeld } from "./tensors.ts";
import { declaredTypes, decodeType } from "./type-proto.ts";

type IAttribute = Message<"AttributeProto">;
type IFunction = Message<"FunctionProto">;

/** The values of a graph by their names in the file; null for one that a call of a function leaves out. */
export type Values = Map<string, Value | null>;

/** What a node's meaning depends on besides itself. */
export interface FileContext {
  readonly g: Builder;
  /** The version of every domain that the file imports. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly functions: FileFunctions;
  /** The types that the file declares, by the names of the graph's values. */
  readonly types: ReadonlyMap<string, ValueType>;
  readonly caller: Caller;
  /** What the nodes of the graph make, the later ones too. */
  readonly made: ReadonlySet<string>;
  /** Whether a node that is not covered is kept as it is. */
  readonly uncovered: "keep" | "refuse";
  readonly sequences: Sequences;
}

const readFields: ReadonlySet<string> = new Set([
  "name",
  "opType",
  "domain",
  "overload",
  "input",
  "output",
  "attribute",
] satisfies readonly (keyof INode)[]);

/** Appends what a node of a file stands for, and adds its outputs to the values. */
export function decodeNode(proto: INode, values: Values, file: FileContext): void {
  const { g, caller } = file;
  const { path } = caller;
  const opType = proto.opType ?? "";
  const own = proto.name || (proto.output?.find((output) => output !== "") ?? opType);
  const name = g.freePath(path ? `${path}/${own}` : own);
  const inputs = (proto.input ?? []).map((input) =>
    input === "" ? null : valueNamed(input, values, { opType, name }, file),
  );
  const { phase, notes } = splitPhase(decodeNotes(proto, readFields));
  const decode = () => decodeOutputs(proto, { name, inputs }, values, file);
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

function valueNamed(
  input: string,
  values: Values,
  { opType, name }: { opType: string; name: string },
  { caller, made }: FileContext,
): Value | null {
  const value = values.get(input);
  if (value !== undefined) return value;
  throw new Error(
    caller.path === "" && made.has(input)
      ? `${opType} at ${name} reads ${input}, which is not made before it: nodes must be in order, without a circle`
      : `${opType} at ${name} reads ${input}, which nothing makes`,
  );
}

/**
 * Appends what a node stands for: a call of a function that is known, the body of another one, a branch of an
 * If, the tensors of a sequence, an operator, or the node as it is.
 */
function decodeOutputs(
  proto: INode,
  { name, inputs }: Pick<CallNode, "name" | "inputs">,
  values: Values,
  file: FileContext,
): readonly (Value | null)[] {
  const { g, functions, caller, opsets, types } = file;
  const [domain, opType] = [canonicalDomain(proto.domain), proto.opType ?? ""];
  const given = resolveAttributes(proto.attribute ?? [], caller);
  const called = functions.get(functionKey(domain, opType, proto.overload));
  if (called && "body" in called) return g.callNode(called, inputs, name).outputs;
  if (called) return decodeCall(called, { name, inputs, attributes: given }, file);
  if (proto.overload)
    throw new Error(`the overload ${proto.overload} of ${opType} at ${name} is not in the file`);
  const branch = domain === "" && opType === "If" ? constantBranch(inputs[0], given) : undefined;
  if (branch) return decodeBranch(branch, name, values, file);
  const declared = (proto.output ?? []).map((output) => types.get(output));
  const read = () => {
    if (domain === "" && opType === "Scan") return decodeScan({ name, inputs }, given, values, file);
    if (graphsOf(given).length > 0) unsupported(reasonOfGraphs(opType, name));
    const attributes = Object.fromEntries(
      given.map((attribute) => [attribute.name ?? "", decodeAttribute(attribute, name)]),
    );
    const outputs = caller.path === "" ? (proto.output ?? []) : [];
    const opset = opsets.get(domain) ?? 1;
    const node = { domain, opType, name, opset, inputs, attributes, outputs, declared };
    return resolveSequence(g, node, file) ?? importNode(g, node);
  };
  try {
    return g.attempt(read);
  } catch (error) {
    if (!(error instanceof UnsupportedError) || file.uncovered === "refuse") throw error;
    const node = { domain, opType, name, inputs, outputs: proto.output ?? [], declared };
    return keepNode(g, { ...node, attributes: given, reason: error.message }, opsets, (captured) => {
      const value = valueNamed(captured, values, node, file);
      if (!value) throw new Error(`${opType} at ${name} reads ${captured}, which its call leaves out`);
      return value;
    });
  }
}

/** Why a node with graphs in its attributes is not read. */
function reasonOfGraphs(opType: string, name: string): string {
  return opType === "If"
    ? `only a run tells which branch If at ${name} takes`
    : `${opType} at ${name} runs a graph of its own`;
}

function decodeCall(called: IFunction, call: CallNode, file: FileContext): readonly (Value | null)[] {
  const opsets = decodeImports(called.opsetImport, file.opsets.get(""));
  const inner = { ...file, opsets, types: declaredTypes(called) };
  return inlineCall(called, call, file.caller, (node, values, caller) =>
    decodeNode(node, values, { ...inner, caller }),
  );
}

/** Appends a Scan, whose body is read as a graph of its own. */
function decodeScan(
  { name, inputs }: Pick<CallNode, "name" | "inputs">,
  given: readonly IAttribute[],
  values: Values,
  file: FileContext,
): readonly Value[] {
  const attributes = given.flatMap((attribute) =>
    attribute.g ? [] : [[attribute.name ?? "", decodeAttribute(attribute, name)] as const],
  );
  const proto = given.find(({ g }) => g)?.g;
  if (!proto) throw new Error(`Scan at ${name} has no body`);
  const captured = capturedNames(given).map(
    (read) => [read, valueNamed(read, values, { opType: "Scan", name }, file)] as const,
  );
  const body = decodeBody(
    proto,
    { captured, read: elementTypes(inputs, Object.fromEntries(attributes)) },
    file,
  );
  const read = captured.filter(([, value]) => value && !isProgramNumber(value)).map(([, value]) => value);
  return file.g.nodeFrom(
    "Scan",
    [...inputs, ...read],
    { ...Object.fromEntries(attributes), body: new Subgraph(body, read.length) },
    name,
  ).outputs;
}

/** The types of the states and elements that the body of a Scan reads. */
function elementTypes(
  inputs: readonly (Value | null)[],
  { num_scan_inputs, scan_input_axes: axes }: Readonly<Record<string, unknown>>,
): ValueType[] {
  const states = inputs.length - Number(num_scan_inputs);
  return inputs.map((input, i) => {
    if (input?.type.kind !== "tensor") return unknownType;
    if (i < states) return input.type;
    const { elemType, shape } = input;
    const axis = Array.isArray(axes) ? Number(axes[i - states]) : 0;
    return tensorType(elemType, shape.toSpliced(normalAxis(axis, shape.length), 1));
  });
}

/** What the body of a Scan reads. */
interface BodyReads {
  /** The types of its states and elements, for those that it does not declare. */
  readonly read: readonly ValueType[];
  /** The values that it reads from around it, which are its last inputs. */
  readonly captured: readonly (readonly [string, Value | null])[];
}

function decodeBody(
  { name = "", input = [], output = [], node = [], initializer = [], ...rest }: Message<"GraphProto">,
  { captured, read: types }: BodyReads,
  file: FileContext,
): Graph {
  const g = createBuilder(new Graph(name));
  const own: Values = new Map();
  for (const [i, { name: given = "", type }] of input.entries()) {
    const declared = decodeType(type, given);
    own.set(given, g.inputOf(given, declared.kind === "other" ? (types[i] ?? declared) : declared));
  }
  for (const [read, value] of captured) {
    if (value?.constant && isProgramNumber(value)) own.set(read, g.constant(value.constant, read));
    else if (value) own.set(read, g.inputOf(read, value.type));
  }
  for (const tensor of initializer) {
    const { name: constant = "" } = tensor;
    own.set(constant, g.constant(decodeTensor(tensor, constant), constant));
  }
  const inner: FileContext = {
    ...file,
    g,
    types: declaredTypes({ ...rest, output }),
    caller: { ...file.caller, path: "" },
    made: new Set(node.flatMap((each) => each.output ?? [])),
    uncovered: "refuse",
    sequences: new Map(),
  };
  for (const each of node) decodeNode(each, own, inner);
  for (const { name: result = "" } of output) {
    const value = own.get(result);
    if (!value) throw new Error(`the body ${name} does not make its output ${result}`);
    g.output(value, result);
  }
  return g.graph;
}

/** Whether a value is a constant that shapes and axes may depend on, and that is never trained. */
function isProgramNumber({ constant }: Value): boolean {
  return constant !== undefined && (constant.elemType !== "float" || constant.data.length === 1);
}

/** The branch that an If takes, where its condition is known before a run. */
function constantBranch(
  condition: Value | null | undefined,
  given: readonly IAttribute[],
): Message<"GraphProto"> | undefined {
  const taken = condition?.contents?.[0];
  if (typeof taken !== "number") return undefined;
  return given.find(({ name }) => name === (taken ? "then_branch" : "else_branch"))?.g;
}

/** Appends the nodes of a branch in the place of its If, and returns its outputs. */
function decodeBranch(
  { initializer = [], node = [], output = [], ...graph }: Message<"GraphProto">,
  name: string,
  values: Values,
  file: FileContext,
): Value[] {
  const { g, opsets, caller } = file;
  const own: Values = new Map(values);
  for (const tensor of initializer) {
    const constant = isHeld(tensor)
      ? g.constant(decodeTensor(tensor, tensor.name ?? ""))
      : keepTensor(g, tensor, opsets);
    own.set(tensor.name ?? "", constant);
  }
  const inner = { ...file, types: declaredTypes({ ...graph, output }), caller: { ...caller, path: name } };
  for (const each of node) decodeNode(each, own, inner);
  return output.map(({ name: result = "" }) => {
    const value = own.get(result);
    if (!value) throw new Error(`a branch of If at ${name} does not make its output ${result}`);
    return value;
  });
}
