import { type Builder, createBuilder } from "../builder.ts";
import { UserError } from "../errors.ts";
import type { Graph, Node, Value } from "../ir.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";
import { momentCounts, momentNames } from "../optimizers/step-graph.ts";
import { Tensor } from "../tensor.ts";
import { nextName, withExplicitState } from "./explicit-state.ts";
import { LOSS_SCALE, mixedPrecision } from "./mixed-precision.ts";
import { freezeInputs, rewriteGraph } from "./rewrite.ts";

/** The input that counts the steps since the loss scale changed or a step was skipped: float, no dimensions. */
export const GOOD_STEPS = "good_steps";

/** After so many steps without an overflow the loss scale is doubled, as PyTorch's GradScaler does. */
export const GROWTH_INTERVAL = 2000;

export interface FusedStepSettings {
  /** Forward and backward in float16 with float32 weights, and a loss scale that halves on overflow. */
  readonly mixed?: boolean | undefined;
}

/** Tensors of one role as one vector, one after the other. */
export interface Pack {
  /** The vector's input, float [size]; the output is `<name>_next`. */
  readonly name: string;
  readonly members: readonly { readonly name: string; readonly dims: readonly number[] }[];
}

/** A whole training step as one graph whose state is a few long vectors. */
export interface FusedStep {
  readonly graph: Graph;
  readonly packs: readonly Pack[];
  /** The inputs of the graph that a step replaces and the outputs that replace them, packs among them. */
  readonly states: ReadonlyMap<string, string>;
}

/**
 * Joins a training model and its optimizer model (one update a parameter) into one step that updates all parameters at once: a
 * device that is slow to start kernels takes one kernel for what would be one a parameter. Running statistics follow the batch in
 * the same way. With `mixed`, the step leaves all states as they are where a gradient is not finite.
 * Throws UserError where the update is not elementwise and the same for all parameters, such as with gradient clipping.
 */
export function fusedStep(
  training: Graph,
  optimizer: Graph,
  { mixed = false }: FusedStepSettings = {},
): FusedStep {
  const update = readUpdate(withExplicitState(optimizer));
  const plain = resetEveryStep(training);
  const step = mixed ? mixedPrecision(plain) : plain;
  const parameters = sortedParameters(step, update.parameters, mixed);
  const statistics = statisticsOf(step);
  const packs: Pack[] = [
    { name: "weights", members: parameters },
    ...Array.from({ length: update.moments }, (_, i) => ({
      name: update.moments === 1 ? "momentum" : `momentum_${i + 1}`,
      members: parameters.map(({ name, dims }) => ({
        name: momentNames(name, update.moments)[i] ?? "",
        dims,
      })),
    })),
    ...(statistics.length > 0
      ? [{ name: "statistics", members: statistics.map(({ member }) => member) }]
      : []),
  ];
  const flat = new Map<string, Value>();
  const pieces = new Map<string, Value>();
  const joined = rewriteGraph(
    step,
    () => undefined,
    (input, g) => {
      if (flat.size === 0) {
        for (const pack of packs) flat.set(pack.name, g.input(pack.name, "float", [sizeOf(pack.members)]));
        const weights = flat.get("weights");
        if (weights) for (const [name, piece] of cutWeights(g, weights, parameters)) pieces.set(name, piece);
      }
      const { name = "" } = input;
      const statistic = statistics.find(({ member }) => member.name === name)?.member;
      // what a batch normalisation makes of its running statistics is not read: all of them are updated together
      if (statistic)
        return g.constant(new Tensor("float", statistic.dims, new Float32Array(sizeOf([statistic]))));
      return pieces.get(name) ?? g.inputOf(name, input.type);
    },
  );
  const g = createBuilder(joined);
  const outputs = new Map(joined.outputs.map((value) => [value.name ?? "", value]));
  const gradient = gatherGradients(
    g,
    parameters.map(({ name }) => gradientOf(outputs, name)),
  );
  const next = g.scope("update", () => {
    const scale = joined.inputs.find(({ name }) => name === LOSS_SCALE);
    const unscaled = scale ? g.Mul(gradient, g.Reciprocal(scale)) : gradient;
    const made = appendUpdate(g, update, flat, unscaled);
    const running = statistics.length > 0 ? runningStatistics(g, flat, statistics, outputs) : undefined;
    if (running) made.set("statistics", running);
    return scale ? guarded(g, made, flat, { scale, gradient: unscaled }) : made;
  });
  const dropped = new Set([
    ...parameters.flatMap(({ name }) => gradientNames(name)),
    ...statistics.map(({ member }) => nextName(member.name)),
  ]);
  joined.outputs = joined.outputs.filter(({ name = "" }) => !dropped.has(name));
  for (const value of outputs.values()) if (dropped.has(value.name ?? "")) value.name = undefined;
  for (const [name, value] of next) g.output(value, nextName(name));
  const graph = rewriteGraph(joined);
  return { graph, packs, states: new Map([...next.keys()].map((name) => [name, nextName(name)])) };
}

/** The training model with gradients that start anew in every step. */
function resetEveryStep(training: Graph): Graph {
  const names = (graph: Graph) => graph.outputs.map(({ name = "" }) => name);
  const always = new Tensor("bool", [1], Uint8Array.of(1));
  const reset = freezeInputs(training, new Map([["lazy_reset_grad", always]]), names(training));
  const explicit = withExplicitState(reset);
  return freezeInputs(explicit, new Map(), names(explicit));
}

interface Member {
  readonly name: string;
  readonly dims: readonly number[];
}

function sizeOf(members: readonly Pick<Member, "dims">[]): number {
  return members.reduce((sum, { dims }) => sum + dims.reduce((size, dim) => size * dim, 1), 0);
}

/** A parameter with whether all that reads it reads it in float16. */
interface Parameter extends Member {
  readonly isHalf: boolean;
}

/** The trained parameters, those in float16 first. */
function sortedParameters(step: Graph, names: readonly string[], mixed: boolean): Parameter[] {
  const all = names.map((name): Parameter => {
    const value = step.inputs.find((input) => input.name === name);
    if (!value)
      throw new UserError(`The training model does not read ${name}, which the optimizer model updates.`);
    const isHalf = mixed && value.uses.every(({ node }) => isCastToHalf(node));
    return { name, dims: value.shape.map(Number), isHalf };
  });
  return [...all.filter(({ isHalf }) => isHalf), ...all.filter(({ isHalf }) => !isHalf)];
}

function isCastToHalf(node: Node): boolean {
  return node.opType === "Cast" && node.outputs[0]?.elemType === "float16";
}

/** The parameters as pieces of one vector; those that are read in float16 are cast together. */
function cutWeights(g: Builder, weights: Value, parameters: readonly Parameter[]): Map<string, Value> {
  const halves = parameters.filter(({ isHalf }) => isHalf);
  const wholes = parameters.filter(({ isHalf }) => !isHalf);
  const [first, second] =
    halves.length === 0 || wholes.length === 0
      ? [weights, weights]
      : g.Split(weights, g.int64([sizeOf(halves), sizeOf(wholes)]), { axis: 0 });
  const pieces = new Map<string, Value>();
  if (first && halves.length > 0) {
    const rounded = g.Cast(first, { to: dataTypeNumbers.float16 });
    for (const [name, piece] of cut(g, rounded, halves)) {
      pieces.set(name, g.Cast(piece, { to: dataTypeNumbers.float }));
    }
  }
  if (second && wholes.length > 0)
    for (const [name, piece] of cut(g, second, wholes)) pieces.set(name, piece);
  return pieces;
}

function cut(g: Builder, vector: Value, members: readonly Member[]): [string, Value][] {
  const parts = g.Split(vector, g.int64(members.map((member) => sizeOf([member]))), { axis: 0 });
  return members.flatMap(({ name, dims }, i): [string, Value][] => {
    const part = parts[i];
    return part ? [[name, dims.length === 1 ? part : g.Reshape(part, g.int64(dims))]] : [];
  });
}

function gradientNames(parameter: string): string[] {
  return [`${parameter}_grad`, nextName(`${parameter}_grad.accumulation.buffer`)];
}

function gradientOf(outputs: ReadonlyMap<string, Value>, parameter: string): Value {
  for (const name of gradientNames(parameter)) {
    const value = outputs.get(name);
    if (value) return value;
  }
  throw new UserError(
    `The training model gives no gradient of ${parameter}, which the optimizer model updates.`,
  );
}

/** Gradients as one float vector; neighbours in float16 are joined before they are cast. */
function gatherGradients(g: Builder, gradients: readonly Value[]): Value {
  const runs: { value: Value[]; isHalf: boolean }[] = [];
  for (const gradient of gradients) {
    const { producer } = gradient;
    const before = producer?.opType === "Cast" ? producer.input(0) : undefined;
    const isHalf = before?.elemType === "float16";
    const value = g.Reshape(isHalf ? before : gradient, g.int64([-1]));
    const open = runs.at(-1);
    if (open?.isHalf === isHalf) open.value.push(value);
    else runs.push({ value: [value], isHalf });
  }
  const vectors = runs.map(({ value, isHalf }) => {
    const joined = g.Concat(...value, { axis: 0 });
    return isHalf ? g.Cast(joined, { to: dataTypeNumbers.float }) : joined;
  });
  const [only] = vectors;
  return only && vectors.length === 1 ? only : g.Concat(...vectors, { axis: 0 });
}

// --- the optimizer ---

/** An update that is the same, number by number, for all parameters. */
interface Update {
  readonly parameters: readonly string[];
  readonly moments: number;
  /** The first parameter's outputs: the next weight and the next moments. */
  readonly weight: Value;
  readonly nextMoments: readonly Value[];
  readonly first: string;
}

const elementwise: ReadonlySet<string> = new Set([
  "Add",
  "Sub",
  "Mul",
  "Div",
  "Neg",
  "Sqrt",
  "Pow",
  "Reciprocal",
  "Cast",
  "Identity",
]);

function readUpdate(optimizer: Graph): Update {
  const outputs = new Map(optimizer.outputs.map((value) => [value.name ?? "", value]));
  const inputs = new Set(optimizer.inputs.map(({ name = "" }) => name));
  const parameters = [...inputs].filter((name) => inputs.has(`${name}_grad`) && outputs.has(nextName(name)));
  const [first] = parameters;
  if (first === undefined) throw new UserError("The optimizer model updates no parameter from its gradient.");
  const counts = Object.values(momentCounts).sort((a, b) => b - a);
  const moments = counts.find((count) => momentNames(first, count).every((name) => inputs.has(name))) ?? 0;
  const made = (parameter: string) =>
    [parameter, ...momentNames(parameter, moments)].map((name) => outputs.get(nextName(name)));
  const form = (parameter: string) =>
    made(parameter)
      .map((value) => formOf(value, parameter, moments))
      .join(" ");
  for (const parameter of parameters) {
    if (form(parameter) === form(first)) continue;
    throw new UserError(
      `The optimizer updates ${parameter} in another way than ${first}; they cannot be updated together.`,
    );
  }
  const [weight, ...nextMoments] = made(first).filter((value) => value !== undefined);
  if (!weight) throw new UserError(`The optimizer model has no output ${nextName(first)}.`);
  return { parameters, moments, weight, nextMoments, first };
}

/** What a value is computed by, with the parameter's own tensors named by their role. */
function formOf(value: Value | null | undefined, parameter: string, moments: number): string {
  if (!value) return "-";
  if (value.constant) return `${value.elemType}[${value.constant.dims}]${value.constant.data.join()}`;
  const { producer, name = "" } = value;
  if (!producer) return roleOf(name, parameter, moments) ?? name;
  if (!elementwise.has(producer.opType)) {
    throw new UserError(
      `The optimizer's ${producer.opType} at ${producer.name} is not elementwise, so parameters cannot be updated together.`,
    );
  }
  const inputs = producer.inputs.map((input) => formOf(input, parameter, moments));
  return `${producer.opType}(${inputs.join()})${JSON.stringify(producer.attributes)}`;
}

function roleOf(name: string, parameter: string, moments: number): string | undefined {
  if (name === parameter) return "weights";
  if (name === `${parameter}_grad`) return "gradient";
  const index = momentNames(parameter, moments).indexOf(name);
  if (index < 0) return undefined;
  return moments === 1 ? "momentum" : `momentum_${index + 1}`;
}

/** The update over vectors: the next of each by the name of its pack. */
function appendUpdate(
  g: Builder,
  { weight, nextMoments, first, moments }: Update,
  flat: ReadonlyMap<string, Value>,
  gradient: Value,
): Map<string, Value> {
  const done = new Map<Value, Value>();
  const translate = (value: Value): Value => {
    const known = done.get(value);
    if (known) return known;
    const { producer, constant, name = "" } = value;
    const made = () => {
      if (constant) return g.constant(constant);
      if (producer) {
        const inputs = producer.inputs.map((input) => input && translate(input));
        return g.node(producer.opType, inputs, producer.attributes as never).output(0);
      }
      const role = roleOf(name, first, moments);
      if (role === "gradient") return gradient;
      const known = flat.get(role ?? "") ?? g.graph.inputs.find((input) => input.name === name);
      return known ?? g.inputOf(name, value.type);
    };
    const result = made();
    done.set(value, result);
    return result;
  };
  const names = moments === 1 ? ["momentum"] : nextMoments.map((_, i) => `momentum_${i + 1}`);
  return new Map([
    ["weights", translate(weight)],
    ...nextMoments.map((value, i): [string, Value] => [names[i] ?? "", translate(value)]),
  ]);
}

// --- running statistics ---

interface Statistic {
  readonly member: Member;
  readonly kind: "mean" | "variance";
  readonly momentum: number;
  readonly epsilon: number;
}

/** The running statistics of all batch normalisations, means first; none where they are not all updated in one way. */
function statisticsOf(step: Graph): Statistic[] {
  const found: Statistic[] = [];
  for (const output of step.outputs) {
    const node = output.producer as Node<"BatchNormInternal"> | undefined;
    if (node?.opType !== "BatchNormInternal") continue;
    const index = node.outputs.indexOf(output);
    const input = node.input(index + 2);
    if (nextName(input.name ?? "") !== output.name || input.uses.length !== 1) continue;
    const { momentum, epsilon } = node.attributes;
    const member = { name: input.name ?? "", dims: input.shape.map(Number) };
    found.push({ member, kind: index === 1 ? "mean" : "variance", momentum, epsilon });
  }
  const isOne = found.every(({ momentum }) => momentum === found[0]?.momentum);
  if (!isOne) return [];
  return [...found.filter(({ kind }) => kind === "mean"), ...found.filter(({ kind }) => kind === "variance")];
}

/** running * momentum + batch * (1 - momentum) over one vector; a batch's variance is 1 / invStd^2 - epsilon. */
function runningStatistics(
  g: Builder,
  flat: ReadonlyMap<string, Value>,
  statistics: readonly Statistic[],
  outputs: ReadonlyMap<string, Value>,
): Value {
  const batch = (kind: Statistic["kind"], output: number) => {
    const chosen = statistics.filter((statistic) => statistic.kind === kind);
    const values = chosen.flatMap(
      ({ member }) => outputs.get(nextName(member.name))?.producer?.output(output) ?? [],
    );
    return g.Concat(...values, { axis: 0 });
  };
  const [running, first] = [flat.get("statistics"), statistics[0]];
  if (!running || !first) throw new Error("there are no running statistics");
  const invStd = batch("variance", 4);
  const variance = g.Sub(g.Reciprocal(g.Mul(invStd, invStd)), g.float(first.epsilon));
  const values = g.Concat(batch("mean", 3), variance, { axis: 0 });
  return g.Add(g.Mul(running, g.float(first.momentum)), g.Mul(values, g.float(1 - first.momentum)));
}

// --- the loss scale ---

/**
 * The next states where all gradients are finite, and the old ones where not. The loss scale is halved then, and doubled after
 * GROWTH_INTERVAL steps without an overflow. 0 * g is 0 for a finite g and not a number else, and so is the sum.
 */
function guarded(
  g: Builder,
  next: ReadonlyMap<string, Value>,
  flat: ReadonlyMap<string, Value>,
  { scale, gradient }: { scale: Value; gradient: Value },
): Map<string, Value> {
  const sum = g.ReduceSum(g.Mul(gradient, g.float(0)), null, { keepdims: 0 });
  const finite = g.Equal(sum, sum);
  const kept = new Map(
    [...next].map(([name, value]) => [name, g.Where(finite, value, flat.get(name) ?? value)]),
  );
  const good = g.Add(g.input(GOOD_STEPS, "float", []), g.float(1));
  const grows = g.Greater(good, g.float(GROWTH_INTERVAL - 0.5));
  const grown = g.Where(grows, g.Mul(scale, g.float(2)), scale);
  const shrunk = g.Mul(scale, g.float(0.5));
  kept.set(LOSS_SCALE, g.Where(finite, grown, shrunk));
  kept.set(GOOD_STEPS, g.Where(g.And(finite, g.Not(grows)), good, g.float(0)));
  return kept;
}
