import { at } from "../../at.ts";
import { type Binding, type BoundGraph, isControl, isRandom, outputOf } from "../../bindings.ts";
import { type Builder, createBuilder } from "../../builder.ts";
import { UserError } from "../../errors.ts";
import type { Graph, Value } from "../../ir.ts";
import { chunkNames } from "../../onnx/chunk.ts";
import { Tensor } from "../../tensor.ts";
import { elementCount, type HalfType } from "../../types.ts";
import { withExplicitState } from "../explicit-state.ts";
import { freezeInputs } from "../freeze-inputs.ts";
import { inlineFunctions } from "../inline-functions.ts";
import { bfloat16Precision, LOSS_SCALE, mixedPrecision } from "../mixed-precision.ts";
import { type Pass, runPasses } from "../pass.ts";
import { removeDeadCode } from "../remove-dead-code.ts";
import { rewriteGraph } from "../rewrite.ts";
import { appendUpdate, groupValues } from "./append-update.ts";
import { guardStates } from "./loss-scale.ts";
import { type Pack, rowsOf } from "./packs.ts";
import { cutWeights, gatherGradients, groupParameters, type ParameterGroup } from "./parameter-groups.ts";
import type { StepPrecision } from "./precision.ts";
import {
  appendRunningStatistics,
  type RunningStatistics,
  runningStatisticsOf,
} from "./running-statistics.ts";
import { type CommonUpdate, readUpdate } from "./update.ts";

export { GOOD_STEPS, GROWTH_INTERVAL, INITIAL_LOSS_SCALE } from "./loss-scale.ts";
export type { Pack, PackMember } from "./packs.ts";
export { type StepPrecision, stepPrecisions } from "./precision.ts";

/** What puts a step into a precision, and the type in which it then reads its weights. */
const forms: {
  readonly [P in StepPrecision]: { readonly passes: readonly Pass[]; readonly half?: HalfType };
} = {
  float32: { passes: [] },
  mixed: { passes: [mixedPrecision], half: "float16" },
  bfloat16: { passes: [bfloat16Precision], half: "bfloat16" },
};

/** The settings of `fusedStep`. */
export interface FusedStepSettings {
  /** float32 where left out. */
  readonly precision?: StepPrecision | undefined;
}

/** A whole training step as one graph whose state is a few large tensors. */
export interface FusedStep {
  readonly graph: Graph;
  readonly packs: readonly Pack[];
  /** The inputs of the graph that a step replaces and the outputs that replace them, packs among them. */
  readonly states: ReadonlyMap<string, string>;
  /**
   * What the optimizer's inputs are, with the bindings of the moments that the packs hold, and the inputs of
   * random numbers.
   */
  readonly controls: readonly Binding[];
}

/** What the step is made of. */
interface Parts {
  readonly update: CommonUpdate;
  readonly groups: readonly ParameterGroup[];
  readonly statistics: readonly RunningStatistics[];
  readonly packs: readonly Pack[];
  /** The outputs that are gradients, by their parameters. */
  readonly gradients: ReadonlyMap<string, string>;
}

/**
 * Joins a training model and its optimizer model (one update a parameter) into one step that updates all
 * parameters at once: a device that is slow to start kernels takes one kernel for what would be one a
 * parameter. Parameters with the same rule are updated together. Running statistics follow the batch in the
 * same way. In `mixed` precision, the step leaves all states as they are where a gradient is not finite.
 * Throws UserError where the update is neither elementwise nor made of sums over all parameters, as gradient
 * clipping by norm is.
 */
export function fusedStep(
  training: BoundGraph,
  optimizer: BoundGraph,
  { precision = "float32" }: FusedStepSettings = {},
): FusedStep {
  const update = readUpdate(withExplicitState(optimizer));
  const plain = resetEveryStep(training);
  const { passes, half } = forms[precision];
  const step = runPasses(plain.graph, passes);
  const groups = groupParameters(step, update, half);
  const statistics = runningStatisticsOf(step);
  const packs = [...groups.flatMap((group) => group.packs), ...statistics.map(({ pack }) => pack)];
  const parts: Parts = { update, groups, statistics, packs, gradients: gradientsOf(plain.bindings) };

  const { graph, matrices } = readFromPacks(step, parts);
  const next = appendNextStates(graph, matrices, parts);
  const states = new Map([...next.keys()].map((name) => [name, nextName(name)]));
  replaceOutputs(graph, next, parts);
  const controls = [...update.controls, ...training.bindings.filter(isRandom)];
  return { graph: removeDeadCode.run(graph), packs, states, controls };
}

/**
 * A fused training model, which updates its parameters itself, as such a step. Its state stays in the tensors
 * of its checkpoint. Throws UserError where it returns gradients.
 */
export function ownStep(training: BoundGraph): FusedStep {
  const step = resetEveryStep(training);
  const { states } = chunkNames(step);
  return { graph: step.graph, packs: [], states, controls: step.bindings.filter(isControl) };
}

function nextName(input: string): string {
  return `${input}_next`;
}

/** The training model with gradients that start anew in every step. */
function resetEveryStep({ graph: given, bindings }: BoundGraph): BoundGraph {
  const names = ({ outputs }: Graph) => outputs.map(({ name = "" }) => name);
  const always = new Tensor("bool", [1], Uint8Array.of(1));
  const resets = bindings.filter(({ role }) => role === "reset-gradients");
  const constants = new Map(resets.map(({ input = "" }) => [input, always]));
  const reset = runPasses(given, [inlineFunctions, freezeInputs(constants, names(given))]);
  const explicit = withExplicitState({
    graph: reset,
    bindings: bindings.filter((binding) => !resets.includes(binding)),
  });
  return { ...explicit, graph: runPasses(explicit.graph, [freezeInputs(new Map(), names(explicit.graph))]) };
}

function gradientsOf(bindings: readonly Binding[]): Map<string, string> {
  return new Map(
    bindings.flatMap((binding): [string, string][] => {
      const output = outputOf(binding);
      return binding.role === "gradient" && output !== undefined ? [[binding.parameter, output]] : [];
    }),
  );
}

/** The step with its state as inputs that are matrices, from which it cuts the tensors that it reads. */
function readFromPacks(
  step: Graph,
  { packs, groups, statistics }: Parts,
): { graph: Graph; matrices: ReadonlyMap<string, Value> } {
  const matrices = new Map<string, Value>();
  const pieces = new Map<string, Value>();
  const append = (g: Builder) => {
    for (const pack of packs)
      matrices.set(pack.name, g.input(pack.name, "float", [rowsOf(pack), pack.width]));
    for (const group of groups) {
      const cut = g.scope("weights", () => cutWeights(g, group, matrixOf(matrices, group.weights)));
      for (const [name, piece] of cut) pieces.set(name, piece);
    }
    for (const { pack } of statistics) {
      // what a batch normalisation makes of its running statistics is not read: all of them are updated
      // together
      for (const { name, dims } of pack.members) {
        pieces.set(name, g.constant(new Tensor("float", dims, new Float32Array(elementCount(dims)))));
      }
    }
  };
  const graph = rewriteGraph(
    step,
    () => undefined,
    (input, g) => {
      if (matrices.size === 0) append(g);
      const { name = "", type } = input;
      return pieces.get(name) ?? g.inputOf(name, type);
    },
  );
  return { graph, matrices };
}

function matrixOf(matrices: ReadonlyMap<string, Value>, { name }: Pack): Value {
  const matrix = matrices.get(name);
  if (matrix) return matrix;
  throw new Error(`the step has no matrix ${name}`);
}

/** Appends the update of all packs, guarded where the step has a loss scale. Returns the next by name. */
function appendNextStates(
  graph: Graph,
  matrices: ReadonlyMap<string, Value>,
  { update, groups, statistics, gradients }: Parts,
): Map<string, Value> {
  const g = createBuilder(graph);
  const outputs = new Map(graph.outputs.map((value) => [value.name ?? "", value]));
  const gradientOf = (parameter: string) => {
    const value = outputs.get(gradients.get(parameter) ?? "");
    if (value) return value;
    const message = `The training model gives no gradient of ${parameter}, which the optimizer model updates.`;
    throw new UserError(message, { code: "artifacts-mismatch", details: { parameter } });
  };
  const append = () => {
    const scale = graph.inputs.find(({ name }) => name === LOSS_SCALE);
    const unscaled = groups.map((group) => {
      const gathered = gatherGradients(g, group, gradientOf);
      return scale ? g.Mul(gathered, g.Reciprocal(scale)) : gathered;
    });
    const values = groups.map((group, i) => groupValues(group, update.moments, matrices, at(unscaled, i)));
    const next = new Map<string, Value>(appendUpdate(g, update, values));
    for (const statistic of statistics) {
      const running = matrixOf(matrices, statistic.pack);
      next.set(statistic.pack.name, appendRunningStatistics(g, statistic, running, outputs));
    }
    return scale ? guardStates(g, next, matrices, scale, unscaled) : next;
  };
  return g.during("update", () => g.scope("update", append));
}

/** Puts the next states into the place of the gradients and of the single tensors' next values. */
function replaceOutputs(
  graph: Graph,
  next: ReadonlyMap<string, Value>,
  { gradients, statistics }: Parts,
): void {
  const dropped = new Set([...gradients.values(), ...statistics.flatMap(({ outputNames }) => outputNames)]);
  const outputs = graph.outputs;
  graph.outputs = outputs.filter(({ name = "" }) => !dropped.has(name));
  for (const value of outputs) if (dropped.has(value.name ?? "")) value.name = undefined;
  const g = createBuilder(graph);
  for (const [name, value] of next) g.output(value, nextName(name));
}
