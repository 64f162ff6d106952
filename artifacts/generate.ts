import {
  type BoundGraph,
  bindModel,
  costOf,
  createModel,
  encodeModel,
  Graph,
  isControl,
  isRandom,
  isStockRule,
  type Model,
  momentCounts,
  type OptimizerRule,
  optimizerGraph,
  partFor,
  runPasses,
  stockOptimizerGraph,
  type TrainingForm,
  trainingForm,
  UserError,
  withoutElements,
} from "../graph-builder/index.ts";
import { type Adapters, adapterNames, adapterProperties, withAdapters } from "./adapters.ts";
import { encodeCheckpoint } from "./checkpoint.ts";
import { epochModels } from "./epoch-model.ts";
import { floatWeights } from "./float-weights.ts";
import { expectOptions, type GenerateOptions } from "./generate-options.ts";
import { expectModel } from "./given-model.ts";
import { checkpointOf } from "./initial-checkpoint.ts";
import { lossOutput, valuesOfLoss } from "./losses.ts";
import type { Manifest, TrainingArtifacts } from "./manifest.ts";
import { headOf, parametersOf } from "./model-parameters.ts";
import type { StateTensor } from "./parameters.ts";
import { randomProperties } from "./random-state.ts";
import { ruleOf, type Target } from "./settings.ts";
import { expectTrainedHead, expectUnchanged, type Source, sourceOf } from "./source.ts";
import { chooseTrainable } from "./trainable.ts";
import { type TrainingPlan, trainingGraphs } from "./training-graphs.ts";
import { trainsLayer } from "./training-layers.ts";
import { expectKnownTypes } from "./unknown-types.ts";
import { type Warning, warningsOf } from "./warnings.ts";

/** The manifest of the artifacts of a model. */
export interface ModelManifest extends Manifest {
  readonly model: string;
  readonly target: Target;
  readonly fused: boolean;
  readonly optimizer: OptimizerRule;
  /** The loss as it was given; a function is only said to be one. */
  readonly loss: unknown;
  /** The names of the parameters that are trained. */
  readonly trainable: readonly string[];
  /** The names of the parameters that are in the checkpoint and not trained. */
  readonly frozen: readonly string[];
  /** The inputs of the training model that the masks of its dropouts depend on, where it has any. */
  readonly randomInputs?: readonly string[] | undefined;
  /** The last layer where `classes` has replaced it. */
  readonly newHead?: { readonly classes: number; readonly tensors: readonly string[] } | undefined;
  readonly warnings: readonly Warning[];
}

/** The artifacts of a model. */
export type ModelArtifacts = TrainingArtifacts<ModelManifest>;

/**
 * What is trained: the bytes of an .onnx file, a model, a graph, or a network whose training graph and
 * evaluation graph somebody has made. Parameters are its float constants, and keep their names.
 */
export type TrainedModel = Uint8Array | Model | Graph | TrainingForm;

/**
 * Makes ONNX Runtime's training artifacts of a model, as Python's `generate_artifacts` did: the training,
 * evaluation and optimizer models, the checkpoint and a manifest, and for a file or a model the file without
 * its weights, from which `restoreModel` gives back the file with the trained ones. The same model and
 * options give the same bytes.
 * - Batch normalisation and dropout are put into training form where something before or in them is trained.
 * - The parameters that are not trained go to the checkpoint as frozen tensors, as with ONNX Runtime's
 *   `frozen_params`, so that the models hold no weights.
 * Throws UserError for options that do not fit the model, and where an operator between the loss and a
 * trained parameter has no gradient.
 */
export function generateArtifacts(trained: TrainedModel, options: GenerateOptions): ModelArtifacts {
  expectOptions(options);
  expectModel("generateArtifacts", trained);
  const { form, choice, source, adapters } = openModel(trained, options);
  const rule = withBodyRate(ruleOf(options.optimizer ?? "adamw"), choice, options.bodyRate);
  const {
    loss,
    lossInput,
    additionalOutputs = [],
    target = "ort-training",
    chunk = false,
    fused = chunk,
    substitutes,
  } = options;
  if (chunk) expectChunks(target, fused);
  const isLoss = lossOutput(loss, form.graph);
  const read = valuesOfLoss(loss, form.graph, lossInput).filter((value) => value !== isLoss);
  const evaluated = new Set([...read.flatMap(({ name }) => name ?? []), ...additionalOutputs]);
  const plan: TrainingPlan = {
    form,
    trained: choice.trained,
    frozen: choice.frozen,
    loss,
    lossInput,
    additionalOutputs,
    countCorrect: options.countCorrect,
    evaluationOutputs: options.evaluationOutputs ?? [...evaluated],
    rule,
    target,
    fused,
    substitutes,
  };
  const properties = new Map([
    ...(options.properties ?? []),
    ...(adapters ? adapterProperties(adapters) : []),
  ]);
  return encodeArtifacts(plan, { ...options, properties }, source);
}

function encodeArtifacts(
  plan: TrainingPlan,
  options: GenerateOptions,
  source: Source | undefined,
): ModelArtifacts {
  const { target, fused, rule } = plan;
  const { training, evaluation, tensors } = trainingGraphs(plan);
  const name = options.name ?? (plan.form.graph.name || "model");
  const docs = { ...docStringsOf(name, plan), ...options.docStrings };
  const write = (bound: BoundGraph, docString: string) => encodeModel(bindModel(bound, { docString }));
  const trained = tensors.filter(({ kind }) => kind === "parameter");
  const { seed = 0, learningRate } = options;
  const random = training.bindings.filter(isControl).filter(isRandom);
  const draws = random.length > 0 ? randomProperties({ seed: BigInt(seed), step: 0n }) : [];
  const properties = new Map([...(options.properties ?? []), ...draws]);
  const moments = momentCounts[rule.kind];
  const checkpoint = checkpointOf(tensors, { seed, moments, fused, learningRate, properties });
  return {
    trainingModel: write(training, docs.training),
    evalModel: encodeModel(createModel(evaluation, { docString: docs.evaluation })),
    ...(fused ? {} : { optimizerModel: write(optimizerOf(trained, rule, target), docs.optimizer) }),
    ...(options.chunk ? epochModels(training, tensors, name) : {}),
    ...(source
      ? { sourceModel: withoutElements(source.bytes, new Set(tensors.map((each) => each.name))) }
      : {}),
    checkpoint: encodeCheckpoint(checkpoint),
    manifest: {
      ...describeTensors(tensors),
      cost: costOf(training.graph),
      model: name,
      target,
      fused,
      optimizer: rule,
      loss: describeLoss(options),
      ...(random.length > 0 ? { randomInputs: random.map(({ input }) => input) } : {}),
      ...(source?.newHead ? { newHead: source.newHead } : {}),
      warnings: warningsOf(plan, source?.model),
    },
  };
}

function expectChunks(target: Target, fused: boolean): void {
  if (target === "standard" && fused) return;
  const message =
    target === "standard"
      ? "A chunk of steps needs a fused training model: leave fused out."
      : "A chunk of steps needs the target standard: it is written in ai.onnx alone.";
  throw new UserError(message, { code: "setting-conflict" });
}

function docStringsOf(name: string, { fused, rule }: TrainingPlan) {
  return {
    training: `${name}: ${fused ? "forward, loss, backward and update" : "forward, loss and backward"}`,
    evaluation: `${name}: evaluation`,
    optimizer: `${name}: ${rule.kind} step`,
  };
}

function describeTensors(
  tensors: readonly StateTensor[],
): Pick<ModelManifest, "format" | "parameters" | "trainable" | "frozen"> {
  const trained = tensors.filter(({ kind }) => kind === "parameter");
  return {
    format: 1,
    parameters: trained.reduce((sum, { tensor }) => sum + tensor.data.length, 0),
    trainable: trained.map(({ name }) => name),
    frozen: tensors.filter(({ kind }) => kind === "constant").map(({ name }) => name),
  };
}

/** The names of the parameters that are trained, that are not, and that are of the last layer. */
interface Choice {
  readonly trained: ReadonlySet<string>;
  readonly frozen: ReadonlySet<string>;
  readonly head: ReadonlySet<string>;
}

/** A rule in which the trained parameters before the last layer have a rate of their own. */
function withBodyRate(rule: OptimizerRule, { trained, head }: Choice, rate = 1): OptimizerRule {
  if (rate === 1 || [...trained].every((name) => head.has(name))) return rule;
  const own = [...trained].filter((name) => head.has(name)).map((name) => [name, { learningRate: 1 }]);
  return { ...rule, groups: { "*": { learningRate: rate }, ...Object.fromEntries(own), ...rule.groups } };
}

interface OpenedModel {
  readonly form: TrainingForm;
  readonly choice: Choice;
  readonly source: Source | undefined;
  readonly adapters?: Adapters | undefined;
}

function openModel(trained: TrainedModel, options: GenerateOptions): OpenedModel {
  if ("evaluation" in trained) {
    expectUnchanged(options);
    return { form: trained, choice: choiceIn(trained.graph, options), source: undefined };
  }
  const source = sourceOf(trained, options);
  const given = trained instanceof Graph ? trained : (source?.model.graph ?? new Graph(""));
  const base = runPasses(given, [floatWeights]);
  const { lora, seed = 0 } = options;
  const newHead = source?.newHead?.tensors ?? [];
  const adapted = lora && withAdapters(base, besideAdapters(base, options, newHead), lora, seed);
  const graph = adapted?.graph ?? base;
  const choice = choiceIn(
    graph,
    adapted ? withTrainedAdapters(options, [...adapterNames(adapted.adapters), ...newHead]) : options,
  );
  expectTrainedHead(source?.newHead, choice.trained);
  const form = trainingForm(graph, { includes: trainsLayer(graph, choice.trained) });
  return { form, choice, source, adapters: adapted?.adapters };
}

/** The part of a graph that may have adapters, and what is trained beside them. */
function besideAdapters(graph: Graph, options: GenerateOptions, newHead: readonly string[]) {
  const { trainable, loss, lossInput } = options;
  const chosen = trainable === undefined ? new Set<string>() : choiceIn(graph, options).trained;
  return {
    part: partFor(graph, valuesOfLoss(loss, graph, lossInput)),
    trained: new Set([...chosen, ...newHead]),
  };
}

/** Options that train the adapters and a new last layer, and beside them what the options name. */
function withTrainedAdapters(options: GenerateOptions, names: readonly string[]): GenerateOptions {
  const { trainable = [] } = options;
  const own = new Set(names);
  if (typeof trainable === "function") {
    return { ...options, trainable: (parameter) => own.has(parameter.name) || trainable(parameter) };
  }
  return { ...options, trainable: [...[trainable].flat(), ...names] };
}

function choiceIn(graph: Graph, { trainable, loss, lossInput }: GenerateOptions): Choice {
  const part = partFor(graph, valuesOfLoss(loss, graph, lossInput));
  expectKnownTypes(part);
  const { trained, frozen } = chooseTrainable(graph, part, trainable);
  return {
    trained: new Set(trained.map(({ name }) => name)),
    frozen: new Set(frozen.map(({ name }) => name)),
    head: headOf(part, parametersOf(part)),
  };
}

/** ONNX Runtime's stock optimizers take all parameters as sequences, for which there are no bindings. */
function optimizerOf(parameters: readonly StateTensor[], rule: OptimizerRule, target: Target): BoundGraph {
  if (target === "ort-training" && isStockRule(rule)) {
    return { graph: stockOptimizerGraph(rule), bindings: [] };
  }
  return optimizerGraph(
    parameters.map(({ name, tensor }) => ({ name, shape: tensor.dims })),
    rule,
  );
}

/** The loss as JSON can hold it. */
function describeLoss({ loss, lossInput }: GenerateOptions): unknown {
  const described: unknown = JSON.parse(
    JSON.stringify(loss, (_, value: unknown) => (typeof value === "function" ? "function" : value)),
  );
  return lossInput === undefined ? described : { loss: described, input: lossInput };
}
