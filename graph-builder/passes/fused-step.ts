import { type Binding, type BoundGraph, outputOf } from "../bindings.ts";
import { type Builder, createBuilder } from "../builder.ts";
import { UserError } from "../errors.ts";
import { type Graph, isOp, type Node, type Value } from "../ir.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";
import { Tensor } from "../tensor.ts";
import { elementCount } from "../types.ts";
import { withExplicitState } from "./explicit-state.ts";
import { inlineFunctions } from "./inline-functions.ts";
import { LOSS_SCALE, mixedPrecision } from "./mixed-precision.ts";
import { removeDeadCode } from "./remove-dead-code.ts";
import { freezeInputs, rewriteGraph } from "./rewrite.ts";

/**
 * The input that counts the steps since the loss scale changed or a step was skipped: float, no dimensions.
 */
export const GOOD_STEPS = "good_steps";

/** The loss scale of a training that begins, as PyTorch's GradScaler's. */
export const INITIAL_LOSS_SCALE = 65536;

/** After so many steps without an overflow the loss scale is doubled, as PyTorch's GradScaler does. */
export const GROWTH_INTERVAL = 2000;

export interface FusedStepSettings {
  /** Forward and backward in float16 with float32 weights, and a loss scale that halves on overflow. */
  readonly mixed?: boolean | undefined;
}

/**
 * Tensors of one role as the rows of one matrix, one tensor after the other. Rows and not numbers are joined
 * and cut, because ONNX Runtime's Concat and Split on CUDA make a table of the joined axis in every call: 25
 * ms of a step with 2.9 million numbers.
 */
export interface Pack {
  /** The matrix's input, float [rows, width]; the output is `<name>_next`. */
  readonly name: string;
  /** The length of a row: a divisor of the size of every member. */
  readonly width: number;
  readonly members: readonly { readonly name: string; readonly dims: readonly number[] }[];
}

/**
 * Members whose size is a multiple of this have rows of this length, the others of their greatest common
 * divisor.
 */
const WIDE = 256;

/** A whole training step as one graph whose state is a few large tensors. */
export interface FusedStep {
  readonly graph: Graph;
  readonly packs: readonly Pack[];
  /** The inputs of the graph that a step replaces and the outputs that replace them, packs among them. */
  readonly states: ReadonlyMap<string, string>;
  /** What the optimizer's inputs are, with the bindings of the moments that the packs hold. */
  readonly controls: readonly Binding[];
}

/**
 * Joins a training model and its optimizer model (one update a parameter) into one step that updates all
 * parameters at once: a device that is slow to start kernels takes one kernel for what would be one a
 * parameter. Running statistics follow the batch in the same way. With `mixed`, the step leaves all states as
 * they are where a gradient is not finite. Throws UserError where the update is not elementwise and the same
 * for all parameters, such as with gradient clipping.
 */
export function fusedStep(
  training: BoundGraph,
  optimizer: BoundGraph,
  { mixed = false }: FusedStepSettings = {},
): FusedStep {
  const update = readUpdate(withExplicitState(optimizer));
  const plain = resetEveryStep(training);
  const step = mixed ? mixedPrecision(plain.graph) : plain.graph;
  const gradients = gradientsOf(plain.bindings);
  const groups = groupsOf(step, update, mixed);
  const statistics = statisticsOf(step);
  const packs = [...groups.flatMap((group) => group.packs), ...statistics.map(({ pack }) => pack)];
  const flat = new Map<string, Value>();
  const pieces = new Map<string, Value>();
  const joined = rewriteGraph(
    step,
    () => undefined,
    (input, g) => {
      if (flat.size === 0) {
        for (const pack of packs)
          flat.set(pack.name, g.input(pack.name, "float", [rowsOf(pack), pack.width]));
        for (const group of groups) {
          const cut = g.scope("weights", () => cutWeights(g, group, flat));
          for (const [name, piece] of cut) pieces.set(name, piece);
        }
        for (const { pack } of statistics) {
          // what a batch normalisation makes of its running statistics is not read: all of them are updated
          // together
          for (const { name, dims } of pack.members) {
            pieces.set(name, g.constant(new Tensor("float", dims, new Float32Array(elementCount(dims)))));
          }
        }
      }
      return pieces.get(input.name ?? "") ?? g.inputOf(input.name ?? "", input.type);
    },
  );
  const g = createBuilder(joined);
  const outputs = new Map(joined.outputs.map((value) => [value.name ?? "", value]));
  const next = g.during("update", () =>
    g.scope("update", () => {
      const scale = joined.inputs.find(({ name }) => name === LOSS_SCALE);
      const made = new Map<string, Value>();
      const unscaledGradients = groups.map((group) => {
        const gradient = gatherGradients(g, group, (parameter) => {
          const value = outputs.get(gradients.get(parameter) ?? "");
          if (value) return value;
          throw new UserError(
            `The training model gives no gradient of ${parameter}, which the optimizer model updates.`,
          );
        });
        const unscaled = scale ? g.Mul(gradient, g.Reciprocal(scale)) : gradient;
        for (const [name, value] of appendUpdate(g, update, group, flat, unscaled)) made.set(name, value);
        return unscaled;
      });
      for (const statistic of statistics) {
        const { name } = statistic.pack;
        made.set(name, runningStatistics(g, statistic, flat.get(name), outputs));
      }
      return scale ? guarded(g, made, flat, scale, unscaledGradients) : made;
    }),
  );
  const dropped = new Set([...gradients.values(), ...statistics.flatMap(({ outputNames }) => outputNames)]);
  joined.outputs = joined.outputs.filter(({ name = "" }) => !dropped.has(name));
  for (const value of outputs.values()) if (dropped.has(value.name ?? "")) value.name = undefined;
  for (const [name, value] of next) g.output(value, nextName(name));
  const graph = removeDeadCode.run(joined);
  const states = new Map([...next.keys()].map((name) => [name, nextName(name)]));
  return { graph, packs, states, controls: update.controls };
}

function nextName(input: string): string {
  return `${input}_next`;
}

/** The training model with gradients that start anew in every step. */
function resetEveryStep({ graph: given, bindings }: BoundGraph): BoundGraph {
  const graph = inlineFunctions.run(given);
  const names = ({ outputs }: Graph) => outputs.map(({ name = "" }) => name);
  const always = new Tensor("bool", [1], Uint8Array.of(1));
  const resets = bindings.filter(({ role }) => role === "reset-gradients");
  const constants = new Map(resets.map(({ input = "" }) => [input, always]));
  const reset = freezeInputs(graph, constants, names(graph));
  const explicit = withExplicitState({
    graph: reset,
    bindings: bindings.filter((binding) => !resets.includes(binding)),
  });
  return { ...explicit, graph: freezeInputs(explicit.graph, new Map(), names(explicit.graph)) };
}

/** The outputs that are gradients, by their parameters. */
function gradientsOf(bindings: readonly Binding[]): Map<string, string> {
  return new Map(
    bindings.flatMap((binding): [string, string][] => {
      const output = outputOf(binding);
      return binding.role === "gradient" && output !== undefined ? [[binding.parameter, output]] : [];
    }),
  );
}

interface Member {
  readonly name: string;
  readonly dims: readonly number[];
}

/** Parameters that are kept, cast and updated together. */
interface Group {
  readonly isHalf: boolean;
  readonly weights: Pack;
  /** The weights and their moments, in the order of the optimizer. */
  readonly packs: readonly Pack[];
}

function rowsOf({ members, width }: Pick<Pack, "members" | "width">): number {
  return members.reduce((rows, { dims }) => rows + elementCount(dims) / width, 0);
}

function divisorOf(members: readonly Member[]): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  return members.reduce((width, { dims }) => divisor(width, elementCount(dims)), 0);
}

/** The trained parameters by the type in which they are read and by the length of their rows. */
function groupsOf(step: Graph, { parameters, moments }: Update, mixed: boolean): Group[] {
  const groups = new Map<string, Member[]>();
  for (const name of parameters.keys()) {
    const value = step.inputs.find((input) => input.name === name);
    if (!value)
      throw new UserError(`The training model does not read ${name}, which the optimizer model updates.`);
    const dims = value.shape.map(Number);
    const isHalf = mixed && value.uses.every(({ node }) => isCastToHalf(node));
    const key = `${elementCount(dims) % WIDE === 0 ? "wide" : "narrow"}${isHalf ? "_half" : ""}`;
    groups.set(key, [...(groups.get(key) ?? []), { name, dims }]);
  }
  return [...groups].map(([key, members]): Group => {
    const width = key.startsWith("wide") ? WIDE : divisorOf(members);
    const weights = { name: `weights.${key}`, width, members };
    const kept = Array.from({ length: moments }, (_, i) => ({
      name: `${momentRole(i, moments)}.${key}`,
      width,
      members: members.map(({ name, dims }) => ({ name: parameters.get(name)?.moments[i] ?? "", dims })),
    }));
    return { isHalf: key.endsWith("_half"), weights, packs: [weights, ...kept] };
  });
}

function momentRole(index: number, moments: number): string {
  return moments === 1 ? "momentum" : `momentum_${index + 1}`;
}

function isCastToHalf(node: Node): boolean {
  return node.opType === "Cast" && node.outputs[0]?.elemType === "float16";
}

/** The parameters of a group as tensors of their own; those that are read in float16 are cast together. */
function cutWeights(
  g: Builder,
  { weights, isHalf }: Group,
  flat: ReadonlyMap<string, Value>,
): [string, Value][] {
  const matrix = flat.get(weights.name);
  if (!matrix) return [];
  const rounded = isHalf ? g.Cast(matrix, { to: dataTypeNumbers.float16 }) : matrix;
  const rows = weights.members.map(({ dims }) => elementCount(dims) / weights.width);
  const parts = g.Split(rounded, g.int64(rows), { axis: 0 });
  return weights.members.flatMap(({ name, dims }, i): [string, Value][] => {
    const part = parts[i];
    if (!part) return [];
    const piece = g.Reshape(part, g.int64(dims));
    return [[name, isHalf ? g.Cast(piece, { to: dataTypeNumbers.float }) : piece]];
  });
}

/** The gradients of a group as one float matrix; those in float16 are joined before they are cast. */
function gatherGradients(
  g: Builder,
  { weights: { members, width } }: Group,
  gradientOf: (parameter: string) => Value,
): Value {
  const gradients = members.map(({ name }) => gradientOf(name));
  const halves = gradients.flatMap(({ producer }) => {
    const before = producer?.opType === "Cast" ? producer.input(0) : undefined;
    return before?.elemType === "float16" ? [before] : [];
  });
  const areHalves = halves.length === gradients.length;
  const rows = (areHalves ? halves : gradients).map((value) => g.Reshape(value, g.int64([-1, width])));
  const joined = g.Concat(...rows, { axis: 0 });
  return areHalves ? g.Cast(joined, { to: dataTypeNumbers.float }) : joined;
}

// --- the optimizer ---

/** The names of a parameter's tensors in the optimizer model. */
interface Roles {
  readonly next: string;
  readonly gradient: string;
  readonly moments: readonly string[];
  readonly nextMoments: readonly string[];
}

/** An update that is the same, number by number, for all parameters. */
interface Update {
  readonly parameters: ReadonlyMap<string, Roles>;
  readonly moments: number;
  /** The next weight and moments of the first parameter. */
  readonly made: readonly Value[];
  /** What the inputs of the first parameter are: `weights`, `gradient`, `momentum`. */
  readonly roles: ReadonlyMap<string, string>;
  readonly controls: readonly Binding[];
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

function readUpdate({ graph, bindings }: BoundGraph): Update {
  const outputs = new Map(graph.outputs.map((value) => [value.name ?? "", value]));
  const parameters = rolesOf(bindings);
  const [first] = parameters;
  if (!first) throw new UserError("The optimizer model updates no parameter from its gradient.");
  const valuesOf = ({ next, nextMoments }: Roles) =>
    [next, ...nextMoments].flatMap((name) => outputs.get(name) ?? []);
  const form = (name: string, roles: Roles) => {
    const inputs = inputRoles(name, roles);
    return valuesOf(roles)
      .map((value) => formOf(value, inputs))
      .join(" ");
  };
  const [firstName, firstRoles] = first;
  for (const [name, roles] of parameters) {
    if (form(name, roles) === form(firstName, firstRoles)) continue;
    throw new UserError(
      `The optimizer updates ${name} in another way than ${firstName}, so they cannot be updated together.`,
    );
  }
  return {
    parameters,
    moments: firstRoles.moments.length,
    made: valuesOf(firstRoles),
    roles: inputRoles(firstName, firstRoles),
    controls: bindings.filter(({ role }) => ["learning-rate", "step", "moment"].includes(role)),
  };
}

function rolesOf(bindings: readonly Binding[]): Map<string, Roles> {
  const found = new Map<string, Roles>();
  for (const binding of bindings) {
    const next = outputOf(binding);
    if (binding.role !== "parameter" || next === undefined) continue;
    const parameter = binding.input;
    const gradient = bindings.find(
      (other) => other.role === "gradient" && other.parameter === parameter,
    )?.input;
    const moments = bindings
      .filter((other) => other.role === "moment" && other.parameter === parameter)
      .map((other) => ({ input: other.input ?? "", output: outputOf(other) ?? "" }));
    if (gradient === undefined) continue;
    const names = {
      moments: moments.map(({ input }) => input),
      nextMoments: moments.map(({ output }) => output),
    };
    found.set(parameter, { next, gradient, ...names });
  }
  return found;
}

function inputRoles(name: string, { gradient, moments }: Roles): Map<string, string> {
  return new Map([
    [name, "weights"],
    [gradient, "gradient"],
    ...moments.map((moment, i): [string, string] => [moment, momentRole(i, moments.length)]),
  ]);
}

/** What a value is computed by, with the parameter's own tensors named by their role. */
function formOf(value: Value | null, roles: ReadonlyMap<string, string>): string {
  if (!value) return "-";
  if (value.constant) return `${value.elemType}[${value.constant.dims}]${value.constant.data.join()}`;
  const { producer, name = "" } = value;
  if (!producer) return roles.get(name) ?? name;
  if (!elementwise.has(producer.opType)) {
    throw new UserError(
      `The optimizer's ${producer.opType} at ${producer.name} is not elementwise, so parameters cannot be updated together.`,
    );
  }
  const inputs = producer.inputs.map((input) => formOf(input, roles));
  return `${producer.opType}(${inputs.join()})${JSON.stringify(producer.attributes)}`;
}

/** The update of a group: the next of each of its packs. */
function appendUpdate(
  g: Builder,
  { made: values, roles: inputs, moments }: Update,
  { packs }: Group,
  flat: ReadonlyMap<string, Value>,
  gradient: Value,
): [string, Value][] {
  const roles = new Map<string, Value>([["gradient", gradient]]);
  for (const [i, { name }] of packs.entries()) {
    const value = flat.get(name);
    if (value) roles.set(i === 0 ? "weights" : momentRole(i - 1, moments), value);
  }
  const done = new Map<Value, Value>();
  const made = ({ producer, constant, name = "", type }: Value): Value => {
    if (constant) return g.constant(constant);
    if (producer) {
      const given = producer.inputs.map((input) => input && translate(input));
      return g.copy(producer, given).output(0);
    }
    const own = roles.get(inputs.get(name) ?? "");
    return own ?? g.graph.inputs.find((input) => input.name === name) ?? g.inputOf(name, type);
  };
  const translate = (value: Value): Value => {
    const result = done.get(value) ?? made(value);
    done.set(value, result);
    return result;
  };
  return values.map((value, i) => [packs[i]?.name ?? "", translate(value)]);
}

// --- running statistics ---

/** Running means, or running variances, that follow their batches in one way. */
interface Statistics {
  readonly pack: Pack;
  /** The outputs that the members' next values had before, in their order. */
  readonly outputNames: readonly string[];
  /** Which output of BatchNormInternal the batch's statistic is: 3 the mean, 4 one over the deviation. */
  readonly output: 3 | 4;
  readonly momentum: number;
  readonly epsilon: number;
}

/** The running statistics of all batch normalisations; none where they are not all updated in one way. */
function statisticsOf(step: Graph): Statistics[] {
  const members: [Member[], Member[]] = [[], []];
  const outputNames: [string[], string[]] = [[], []];
  const settings = new Set<string>();
  for (const output of step.outputs) {
    const node = output.producer;
    if (!isOp(node, "BatchNormInternal")) continue;
    const index = node.outputs.indexOf(output);
    const { name = "", shape, uses } = node.input(index + 2);
    if (uses.length !== 1) continue;
    const { momentum, epsilon } = node.attributes;
    settings.add(JSON.stringify({ momentum, epsilon }));
    const kind = index === 1 ? 0 : 1;
    members[kind].push({ name, dims: shape.map(Number) });
    outputNames[kind].push(output.name ?? "");
  }
  const [only, ...others] = settings;
  if (only === undefined || others.length > 0) return [];
  const { momentum, epsilon } = JSON.parse(only) as { momentum: number; epsilon: number };
  const width = divisorOf(members.flat());
  return [
    {
      pack: { name: "running_mean", width, members: members[0] },
      outputNames: outputNames[0],
      output: 3,
      momentum,
      epsilon,
    },
    {
      pack: { name: "running_var", width, members: members[1] },
      outputNames: outputNames[1],
      output: 4,
      momentum,
      epsilon,
    },
  ];
}

/**
 * running * momentum + batch * (1 - momentum) over one matrix; a batch's variance is 1 / invStd^2 - epsilon.
 */
function runningStatistics(
  g: Builder,
  { pack: { width }, outputNames, output, momentum, epsilon }: Statistics,
  running: Value | undefined,
  outputs: ReadonlyMap<string, Value>,
): Value {
  const values = outputNames.flatMap((name) => outputs.get(name)?.producer?.output(output) ?? []);
  const joined = g.Concat(...values.map((value) => g.Reshape(value, g.int64([-1, width]))), { axis: 0 });
  const batch = output === 3 ? joined : g.Sub(g.Reciprocal(g.Mul(joined, joined)), g.float(epsilon));
  if (!running) throw new Error("there are no running statistics");
  return g.Add(g.Mul(running, g.float(momentum)), g.Mul(batch, g.float(1 - momentum)));
}

// --- the loss scale ---

/**
 * The next states where all gradients are finite, and the old ones where not. The loss scale is halved then,
 * and doubled after GROWTH_INTERVAL steps without an overflow. 0 * g is 0 for a finite g and not a number
 * else, and so is the sum.
 */
function guarded(
  g: Builder,
  next: ReadonlyMap<string, Value>,
  flat: ReadonlyMap<string, Value>,
  scale: Value,
  gradients: readonly Value[],
): Map<string, Value> {
  const sums = gradients.map((value) => g.ReduceSum(g.Mul(value, g.float(0)), null, { keepdims: 0 }));
  const sum = g.Sum(...sums);
  const finite = g.Equal(sum, sum);
  const kept = new Map(
    [...next].map(([name, value]) => [name, g.Where(finite, value, flat.get(name) ?? value)]),
  );
  const good = g.Add(g.input(GOOD_STEPS, "float", []), g.float(1));
  const grows = g.Greater(good, g.float(GROWTH_INTERVAL - 0.5));
  const grown = g.Where(grows, g.Mul(scale, g.float(2)), scale);
  kept.set(LOSS_SCALE, g.Where(finite, grown, g.Mul(scale, g.float(0.5))));
  kept.set(GOOD_STEPS, g.Where(g.And(finite, g.Not(grows)), good, g.float(0)));
  return kept;
}
