import {
  accumulateGradients,
  appendGradients,
  appendGraph,
  at,
  type Binding,
  type BoundGraph,
  type Builder,
  type ControlBinding,
  createBuilder,
  explicitBindings,
  explicitState,
  Graph,
  givenNames,
  isControl,
  isRandom,
  lowerGraph,
  loweringPasses,
  momentCounts,
  momentNames,
  nameOf,
  nodesFor,
  type OptimizerRule,
  portable,
  returnGradients,
  runPasses,
  Tensor,
  type TrainingForm,
  UserError,
  updateInPlace,
  type Value,
} from "../graph-builder/index.ts";
import { listed } from "./listed.ts";
import {
  appendLoss,
  correctLabels,
  type Loss,
  lossInputOf,
  lossOutput,
  targetNames,
  valuesOfLoss,
} from "./losses.ts";
import { outputNamed } from "./outputs.ts";
import type { StateTensor } from "./parameters.ts";
import type { Target } from "./settings.ts";

/** The name of the loss among the outputs. */
const LOSS = "loss";

/** The name of the number of labels that have the highest score. */
const CORRECT = "correct";

/** What is trained of a network, and how. */
export interface TrainingPlan {
  /** The network: the graph of the training step, and the one that is evaluated. */
  readonly form: TrainingForm;
  /** The names of the parameters that are trained. */
  readonly trained: ReadonlySet<string>;
  /** The names of the parameters that are kept in the checkpoint and not trained. */
  readonly frozen: ReadonlySet<string>;
  readonly loss: Loss;
  readonly lossInput?: string | undefined;
  /** The outputs of the training model behind `loss`. */
  readonly additionalOutputs: readonly string[];
  /** Whether both models also return `correct`, how many labels have the highest score. */
  readonly countCorrect?: boolean | undefined;
  /** The outputs of the evaluation model behind `loss`. */
  readonly evaluationOutputs: readonly string[];
  readonly rule: OptimizerRule;
  readonly target: Target;
  /** Puts the optimizer's update into the training model. */
  readonly fused: boolean;
  /** Values of the network's graph, and those that the backward pass reads in their place. */
  readonly substitutes?: ReadonlyMap<Value, Value> | undefined;
}

/** The graphs of a training, and the tensors of its checkpoint in the order of the graphs' inputs. */
export interface TrainingGraphs {
  readonly training: BoundGraph;
  readonly evaluation: Graph;
  readonly tensors: readonly StateTensor[];
}

/**
 * Makes the graphs of a training.
 * - The inputs of both are the network's own that are needed, the targets of the loss, and the tensors of the
 *   checkpoint by their names in the network, in the order of their first use. Where the network has
 *   dropouts, the training graph's `random_seed` and `random_step` come behind the targets.
 * - The first output is `loss`; the additional outputs follow.
 * - The training graph with target ort-training adds the gradients into inputs
 *   `<parameter>_grad.accumulation.buffer`, or puts them there where `lazy_reset_grad`. With target standard
 *   it returns `<parameter>_grad` and `<statistic>_next`. A fused one takes `learning_rate` float [1], the
 *   moments and, for AdamW, `step` int64 [1], and updates parameters and moments itself.
 * Throws UserError where an operator between the loss and a parameter has no gradient, naming its node, and
 * for a parameter that the loss does not depend on.
 */
export function trainingGraphs(plan: TrainingPlan): TrainingGraphs {
  const tensors = stateOf(plan);
  return { training: trainingGraph(plan, tensors), evaluation: evaluationGraph(plan, tensors), tensors };
}

function trainingGraph(plan: TrainingPlan, tensors: readonly StateTensor[]): BoundGraph {
  const { form, trained, rule, fused, target, substitutes = new Map<Value, Value>() } = plan;
  const others = [...substitutes].flat();
  const g = createBuilder(new Graph("training"));
  const { loss, copyOf } = appendForward(g, plan, form.graph, tensors, {
    outputs: plan.additionalOutputs,
    others,
  });
  const parameters = tensors.filter(({ name }) => trained.has(name)).map(({ name }) => g.graph.input(name));
  expectRead(g.graph, loss, parameters);
  const replaced = new Map([...substitutes].map(([value, other]) => [copyOf(value), copyOf(other)]));
  const gradients = gradientsOf(g, loss, parameters, replaced);
  const kept = tensors.flatMap(({ name, kind }): Binding[] =>
    kind === "statistic" || kind === "constant" ? [{ role: kind, input: name }] : [],
  );
  const inputs = new Set(g.graph.inputs.map(({ name }) => name));
  const random = randomBindings(form).filter(({ input }) => inputs.has(input));
  const append = target === "ort-training" ? accumulateGradients : returnGradients;
  const step = fused ? updateInPlace(g, parameters, gradients, rule) : append(g, parameters, gradients);
  const bound = { graph: g.graph, bindings: [...kept, ...random, ...step] };
  if (target === "ort-training") return bound;
  // calls of functions stay single nodes, so that graph viewers show them
  const passes = [explicitState, ...loweringPasses(portable)];
  return { graph: runPasses(bound.graph, passes), bindings: explicitBindings(bound) };
}

/** Throws UserError for parameters that a loss does not read: weight decay alone would move them. */
function expectRead(graph: Graph, loss: Value, parameters: readonly Value[]): void {
  const needed = new Set(nodesFor(graph, [loss]));
  const unread = parameters.filter(({ uses }) => !uses.some(({ node }) => needed.has(node))).map(nameOf);
  if (unread.length > 0) throw withoutInfluence(unread);
}

function evaluationGraph(plan: TrainingPlan, tensors: readonly StateTensor[]): Graph {
  const g = createBuilder(new Graph("evaluation"));
  appendForward(g, plan, plan.form.evaluation, tensors, {
    outputs: plan.evaluationOutputs,
    others: [],
  });
  // ONNX Runtime feeds an eval model every tensor of the training model, by position
  for (const { name, tensor } of tensors.filter(({ kind }) => kind === "moment")) {
    g.input(name, tensor.elemType, tensor.dims);
  }
  return plan.target === "standard" ? lowerGraph(g.graph, portable) : g.graph;
}

/** Appends the network with its tensors as inputs, the loss, and the outputs. */
function appendForward(
  g: Builder,
  { form, loss, lossInput, countCorrect }: TrainingPlan,
  network: Graph,
  tensors: readonly StateTensor[],
  { outputs, others }: { readonly outputs: readonly string[]; readonly others: readonly Value[] },
): { readonly loss: Value; readonly copyOf: (value: Value) => Value } {
  const { inputs } = g.graph;
  expectOtherNames(outputs, countCorrect ? [LOSS, CORRECT] : [LOSS]);
  const read = valuesOfLoss(loss, network, lossInput);
  const returned = outputs.map((name) => outputNamed(network, name));
  const needed = [...read, ...returned, ...others];
  const { own, random } = ownInputs(network, needed, tensors, form);
  const keep = (input: Value) => [input, g.inputOf(input.name ?? "", input.type)] as const;
  const replacements = new Map([...own, ...random].map(keep));
  const state = new Map(
    tensors
      .filter(({ kind }) => kind !== "moment")
      .map(({ name, tensor }) => [name, g.input(name, tensor.elemType, tensor.dims)]),
  );
  for (const value of [...network.inputs, ...network.initializers]) {
    const input = state.get(value.name ?? "");
    if (input) replacements.set(value, input);
  }
  const made = lossOutput(loss, network)?.name === LOSS ? [] : [LOSS];
  const reserved = [...Object.values(targetNames), ...made, ...(countCorrect ? [CORRECT] : [])];
  const copyOf = appendGraph(g, network, { wanted: needed, replacements, reserved });
  const copies = new Map(read.map((value) => [value.name ?? "", copyOf(value)]));
  const last = inputs.length;
  const taken = givenNames(g.graph);
  const context = { outputs: copies, lossInput: lossInputOf(network, lossInput) };
  const result = g.output(appendLoss(g, loss, { ...context, taken }), LOSS);
  const correct = countCorrect && correctLabels(g, loss, context, inputs.slice(last));
  // the targets of the loss come behind the network's own inputs
  inputs.splice(own.length, 0, ...inputs.splice(last));
  for (const [i, name] of outputs.entries()) g.output(copyOf(at(returned, i)), name);
  if (correct) g.output(correct, CORRECT);
  return { loss: result, copyOf };
}

/** Throws UserError where a returned output of the model has the name of one of the artifacts' own. */
function expectOtherNames(outputs: readonly string[], own: readonly string[]): void {
  const name = outputs.find((output) => own.includes(output));
  if (name === undefined) return;
  throw new UserError(
    `The output ${name} of the model cannot be returned: the artifacts have an output of this name. Rename it.`,
    { code: "model-unsupported", details: { output: name } },
  );
}

function randomBindings({ bindings }: TrainingForm): ControlBinding[] {
  return bindings.filter(isControl).filter(isRandom);
}

/**
 * The network's inputs that some values need, without those that the checkpoint holds: the user's, and those
 * of random numbers.
 */
function ownInputs(
  network: Graph,
  needed: readonly Value[],
  tensors: readonly StateTensor[],
  form: TrainingForm,
): { readonly own: readonly Value[]; readonly random: readonly Value[] } {
  const held = new Set(tensors.map(({ name }) => name));
  const read = new Set([...nodesFor(network, needed).flatMap(({ inputs }) => inputs), ...needed]);
  const own = network.inputs.filter((input) => read.has(input) && !held.has(input.name ?? ""));
  const drawn = new Set(randomBindings(form).map(({ input }) => input));
  const isDrawn = ({ name = "" }: Value) => drawn.has(name);
  if (!own.some(({ name }) => name === LOSS))
    return { own: own.filter((input) => !isDrawn(input)), random: own.filter(isDrawn) };
  throw new UserError(`The model has an input named ${LOSS}, which is the name of the loss: rename it.`, {
    code: "model-unsupported",
    details: { input: LOSS },
  });
}

/** The tensors that the training needs, in the order of their first use. */
function stateOf({
  form,
  trained,
  frozen,
  loss,
  lossInput,
  additionalOutputs,
  rule,
  fused,
}: TrainingPlan): StateTensor[] {
  const { graph, statistics } = form;
  const returned = additionalOutputs.map((name) => outputNamed(graph, name));
  const needed = [...valuesOfLoss(loss, graph, lossInput), ...returned];
  const found = new Map<string, StateTensor>();
  for (const value of [...nodesFor(graph, needed).flatMap(({ inputs }) => inputs), ...needed]) {
    const name = value?.name;
    if (!value || name === undefined || found.has(name)) continue;
    const kind = trained.has(name) ? "parameter" : frozen.has(name) ? "constant" : "statistic";
    const tensor = kind === "statistic" ? statistics.get(name) : value.constant;
    if (tensor) found.set(name, { name, tensor, kind });
  }
  const unread = [...trained].filter((name) => !found.has(name));
  if (unread.length > 0) throw withoutInfluence(unread);
  const parameters = [...found.values()].filter(({ kind }) => kind === "parameter");
  const moments = fused ? parameters.flatMap((parameter) => momentsOf(parameter, rule)) : [];
  return [...found.values(), ...moments];
}

function momentsOf({ name, tensor: { dims, data } }: StateTensor, { kind }: OptimizerRule): StateTensor[] {
  return momentNames(name, momentCounts[kind]).map((moment) => ({
    name: moment,
    tensor: new Tensor("float", dims, new Float32Array(data.length)),
    kind: "moment",
  }));
}

function gradientsOf(
  g: Builder,
  loss: Value,
  parameters: readonly Value[],
  substitutes: ReadonlyMap<Value, Value>,
): Value[] {
  try {
    return appendGradients(g, loss, parameters, substitutes);
  } catch (error) {
    if (error instanceof UserError || !(error instanceof Error)) throw error;
    throw new UserError(`The model cannot be trained: ${error.message}.`, {
      cause: error,
      code: "model-unsupported",
      details: { reason: error.message },
    });
  }
}

function withoutInfluence(parameters: readonly string[]): UserError {
  const them = parameters.length === 1 ? "it" : "them";
  return new UserError(`${listed(parameters)} cannot be trained: the loss does not depend on ${them}.`, {
    code: "parameter-unknown",
    details: { parameters },
  });
}
