import type { Builder } from "../builder.ts";
import { floatLike, unbroadcast } from "../composites.ts";
import { appendBody } from "../functions.ts";
import type { FunctionDefinition, Node, Value } from "../ir.ts";
import { freeName, givenNames, nameValues } from "../names.ts";
import { isOpType } from "../operators/index.ts";
import { tensorOf } from "../tensor.ts";
import { formatType, sameType } from "../types.ts";
import { isDetached } from "./detach.ts";
import { type Backward, type Gradient, type GradientRule, gradients } from "./gradients/index.ts";

/**
 * Appends the backward pass of `loss` to the graph and returns the gradient of every value in `targets`, in
 * order. This is reverse-mode automatic differentiation: only nodes between the targets and the loss are
 * visited, gradients from several uses are added, broadcast axes are summed, and each gradient must have its
 * value's type. The gradient of a value `x` is named `x_grad`, with a number appended where that name is
 * taken; the backward nodes of node `n` are named `n_Grad/...`. A loss that is no scalar is summed.
 *
 * A call of a function uses the function's own gradient. A function without one is differentiated through its
 * body, whose values are then computed a second time.
 *
 * `substitutes` maps forward values to the values that every backward node reads in their place. Throws
 * Error, naming the node, where an operator, an input or an output on the way has no gradient, and where a
 * substitute and the value that it replaces differ in type.
 */
export function appendGradients(
  g: Builder,
  loss: Value,
  targets: readonly Value[],
  substitutes: ReadonlyMap<Value, Value> = new Map(),
): Value[] {
  const name = (names: ReadonlyMap<Value, string>, taken: Set<string>) =>
    freeName(`${names.get(loss)}_grad`, taken);
  return walkBack(g, targets, substitutes, ({ names, taken }) => (varying) => {
    return varying.has(loss) ? [[loss, seed(g, loss, name(names, taken))]] : [];
  });
}

/**
 * Appends the backward pass of several values whose gradients are given (a vector-Jacobian product), and
 * returns the gradient of every value in `targets`, in order. `appendGradients` is the case of one value
 * whose gradient is 1, and documents the rest. Throws Error where a gradient and its value differ in type.
 */
export function propagateGradients(
  g: Builder,
  given: ReadonlyMap<Value, Value>,
  targets: readonly Value[],
  substitutes: ReadonlyMap<Value, Value> = new Map(),
): Value[] {
  for (const [{ type }, gradient] of given) {
    if (sameType(type, gradient.type)) continue;
    throw new Error(`the gradient of a ${formatType(type)} value is ${formatType(gradient.type)}`);
  }
  return walkBack(g, targets, substitutes, () => (varying) => [...given].filter(([y]) => varying.has(y)));
}

function walkBack(
  g: Builder,
  targets: readonly Value[],
  substitutes: ReadonlyMap<Value, Value>,
  arriving: (start: Pick<Start, "names" | "taken">) => Start["arriving"],
): Value[] {
  const names = nameValues(g.graph);
  for (const [value, substitute] of substitutes) expectSubstitute(names.get(value), value, substitute);
  const start = { substitutes, names, taken: givenNames(g.graph) };
  return g.during("backward", () =>
    propagate(g, [...g.graph.nodes], targets, { ...start, arriving: arriving(start) }),
  );
}

/** The start of a backward pass. */
interface Start {
  /**
   * The pairs of a value and its gradient that the pass starts with; `varying` are the values that depend on
   * the targets.
   */
  readonly arriving: (varying: ReadonlySet<Value>) => readonly (readonly [Value, Value])[];
  readonly substitutes: ReadonlyMap<Value, Value>;
  /** The names of the values whose gradients are named after them. */
  readonly names: ReadonlyMap<Value, string>;
  /** The names that no gradient may take. */
  readonly taken: Set<string>;
}

/**
 * Appends the backward pass through `nodes`, which are in graph order, and returns the gradients of the
 * targets.
 */
function propagate(g: Builder, nodes: readonly Node[], targets: readonly Value[], start: Start): Value[] {
  const { substitutes, names, taken } = start;
  const varying = valuesThatVary(nodes, targets);
  const arriving = new Map<Value, Value[]>();
  const arrive = (value: Value, gradient: Value) =>
    arriving.set(value, [...(arriving.get(value) ?? []), gradient]);
  for (const [value, gradient] of start.arriving(varying)) arrive(value, gradient);
  const collect = (value: Value): Value | undefined => {
    const total = sumOf(g, arriving.get(value) ?? [], names.get(value), taken);
    if (total) arriving.set(value, [total]);
    return total;
  };
  for (const node of [...nodes].reverse()) {
    const inputs = node.inputs.map((input) => (input && varying.has(input) ? input : null));
    if (!node.outputs.some((output) => arriving.has(output)) || inputs.every((input) => !input)) continue;
    for (const [input, gradient] of nodeGradients(g, node, inputs, collect, substitutes)) {
      arrive(input, gradient);
    }
  }
  return targets.map((target) => collect(target) ?? zeros(g, target));
}

/**
 * Appends the backward pass of one node and returns the wanted inputs (null for the others) with their
 * gradients. `gradientAt` returns the gradient of an output, undefined where the loss does not depend on it.
 * Throws Error, naming the node, where an input has no gradient.
 */
export function nodeGradients(
  g: Builder,
  node: Node,
  wanted: readonly (Value | null)[],
  gradientAt: (value: Value) => Value | undefined,
  substitutes: ReadonlyMap<Value, Value> = new Map(),
): [Value, Value][] {
  return g.within(`${node.name}_Grad`, () => {
    const results = backward(g, node, wanted, gradientAt, substitutes);
    return wanted.flatMap((input, i): [Value, Value][] => {
      if (!input) return [];
      const result = results[i];
      if (!result)
        throw new Error(`the gradient of input ${i} of ${node.opType} at ${node.name} is not known`);
      const gradient = unbroadcast(g, typeof result === "function" ? result() : result, input);
      expectType(node, i, gradient, input);
      return [[input, gradient]];
    });
  });
}

/** `propagateGradients` for a rule: the gradients get no names. */
function propagateUnnamed(g: Builder, given: ReadonlyMap<Value, Value>, targets: readonly Value[]): Value[] {
  return g.during("backward", () =>
    propagate(g, [...g.graph.nodes], targets, {
      arriving: (varying) => [...given].filter(([value]) => varying.has(value)),
      substitutes: new Map(),
      names: new Map(),
      taken: new Set(),
    }),
  );
}

/** The sum of a value's gradients, named `<name>_grad`; undefined where the value has none. */
function sumOf(
  g: Builder,
  parts: readonly Value[],
  name: string | undefined,
  taken: Set<string>,
): Value | undefined {
  const [first] = parts;
  if (!first) return undefined;
  const sum = () => g.Sum(...parts);
  const total = parts.length === 1 ? first : name === undefined ? sum() : g.within(`${name}_grad`, sum);
  if (total.producer && name !== undefined) total.name ??= freeName(`${name}_grad`, taken);
  return total;
}

/** The gradient of a node's operator or function; undefined for a function without a gradient of its own. */
function gradientOf(node: Node): Gradient | undefined {
  const { definition, operator, opType } = node;
  if (isDetached(node)) return "zero";
  if (definition) return definition.gradient;
  if (operator.kept) return { none: operator.kept.reason };
  return isOpType(opType) ? (gradients[opType] as Gradient) : undefined;
}

/** Whether the derivative of a node is 0 wherever it exists, so that no gradient passes it. */
export function stopsGradient(node: Node): boolean {
  return gradientOf(node) === "zero";
}

/** The floating-point values, and those of unknown type, that change when one of the targets does. */
export function valuesThatVary(nodes: readonly Node[], targets: readonly Value[]): ReadonlySet<Value> {
  const varying = new Set(targets);
  for (const node of nodes) {
    if (stopsGradient(node) || !node.inputs.some((input) => input && varying.has(input))) continue;
    for (const output of node.outputs) {
      if (isFloating(output) || output.type.kind === "other") varying.add(output);
    }
  }
  return varying;
}

function backward(
  g: Builder,
  node: Node,
  wanted: readonly (Value | null)[],
  gradientAt: (value: Value) => Value | undefined,
  substitutes: ReadonlyMap<Value, Value>,
): ReturnType<GradientRule> {
  const substituted = (value: Value) => substitutes.get(value) ?? value;
  const decision = gradientOf(node);
  if (node.definition && !decision) {
    const inputs = node.inputs.map((input) => input && substituted(input));
    const arriving = node.outputs.map((output) => gradientAt(output));
    return throughBody(g, node, node.definition, { inputs, wanted, arriving });
  }
  if (typeof decision !== "function") {
    const reason = decision === "zero" ? "it is constant" : decision?.none;
    throw new Error(`${node.opType} at ${node.name} has no gradient: ${reason}`);
  }
  return throughRule(g, node, decision, { wanted, gradientAt, substituted });
}

/** What the rule of a node asks the walk for. */
interface Surroundings {
  /** The inputs whose gradients are needed; null for the others. */
  readonly wanted: readonly (Value | null)[];
  /** The gradient of an output, undefined where the loss does not depend on it. */
  readonly gradientAt: (value: Value) => Value | undefined;
  /** The value that a backward node reads in place of a forward value. */
  readonly substituted: (value: Value) => Value;
}

/**
 * Applies the rule of a node's operator or function. Throws Error where an output has a gradient that the
 * rule does not read.
 */
function throughRule(
  g: Builder,
  node: Node,
  rule: GradientRule,
  { wanted, gradientAt, substituted }: Surroundings,
): ReturnType<GradientRule> {
  const read = new Set<number>();
  const arriving = (index: number) => {
    read.add(index);
    const output = node.outputs[index];
    return output && gradientAt(output);
  };
  const dO = (index: number) => arriving(index) ?? zeros(g, node.output(index));
  const back: Backward = {
    node,
    attributes: node.attributes,
    I: (index) => substituted(node.input(index)),
    optional: (index) => (node.inputs[index] ? substituted(node.input(index)) : null),
    O: (index) => substituted(node.output(index)),
    get dY() {
      return dO(0);
    },
    dO,
    arriving,
    isWanted: (index) => Boolean(wanted[index]),
    propagate: propagateUnnamed,
  };
  const results = rule(g, back);
  const unread = node.outputs.findIndex((output, i) => !read.has(i) && gradientAt(output));
  if (unread >= 0)
    throw new Error(`the gradient of output ${unread} of ${node.opType} at ${node.name} is not known`);
  return results;
}

interface BodyGradients {
  /** The inputs of the call, with substitutes in place. */
  readonly inputs: readonly (Value | null)[];
  /** The inputs whose gradients are needed; null for the others. */
  readonly wanted: readonly (Value | null)[];
  /** The gradients of the outputs; undefined for an output without one. */
  readonly arriving: readonly (Value | undefined)[];
}

/**
 * Differentiates a call through the function's body, which is appended again, and returns the gradients of
 * the inputs.
 */
function throughBody(
  g: Builder,
  node: Node,
  definition: FunctionDefinition,
  { inputs, wanted, arriving }: BodyGradients,
): (Value | null)[] {
  if (definition.isRandom) {
    throw new Error(
      `${node.opType} at ${node.name} has no gradient: its body draws random numbers, so it needs a gradient of its own`,
    );
  }
  // the same value as two inputs has a gradient for each, so the second one goes through Identity
  const own = inputs.map((input, i) => (input && inputs.indexOf(input) < i ? g.Identity(input) : input));
  const inner = g.graph.nodes.length;
  const outputs = appendBody(g, definition, own);
  const targets = own.flatMap((input, i) => (input && wanted[i] ? [input] : []));
  const results = propagate(g, g.graph.nodes.slice(inner), targets, {
    arriving: () => outputs.flatMap((output, i) => (arriving[i] ? [[output, arriving[i]] as const] : [])),
    substitutes: new Map(),
    names: new Map(),
    taken: new Set(),
  });
  return own.map((input, i) => (input && wanted[i] ? (results[targets.indexOf(input)] ?? null) : null));
}

function expectSubstitute(name: string | undefined, { type }: Value, substitute: Value): void {
  if (sameType(type, substitute.type)) return;
  throw new Error(`the substitute of ${name} is ${formatType(substitute.type)}, not ${formatType(type)}`);
}

function expectType(node: Node, index: number, gradient: Value, value: Value): void {
  if (sameType(gradient.type, value.type)) return;
  const types = `${formatType(gradient.type)}, not ${formatType(value.type)}`;
  throw new Error(`the gradient of input ${index} of ${node.opType} at ${node.name} is ${types}`);
}

/** The gradient of the loss: 1 for each of its elements. */
function seed(g: Builder, loss: Value, name: string): Value {
  return loss.shape.length > 0 ? ones(g, loss) : g.constant(tensorOf(loss.elemType, 1), name);
}

/** Ones in the type and shape of a value. */
export function ones(g: Builder, value: Value): Value {
  return g.Expand(floatLike(g, value, 1), g.Shape(value));
}

function zeros(g: Builder, value: Value): Value {
  return g.ConstantOfShape(g.Shape(value), { value: tensorOf(value.elemType, [0]) });
}

/** Whether a value is a tensor of a type that has gradients. */
export function isFloating(value: Value): boolean {
  return value.type.kind === "tensor" && ["float", "float16", "bfloat16", "double"].includes(value.elemType);
}
