import { type Checkpoint, decodeCheckpoint } from "../../artifacts/checkpoint.ts";
import {
  addedGradients,
  type Binding,
  type BoundGraph,
  bindingsOf,
  createModel,
  decodeModel,
  encodeModel,
  explicitBindings,
  freezeInputs,
  type InputSizes,
  type Lowering,
  type Model,
  type ModelKind,
  optimizerGraph,
  outputOf,
  rankedScalars,
  runPasses,
  shown,
  sizedInputs,
  stockOptimizer,
  trainingPasses,
  UserError,
  withExplicitState,
} from "../../graph-builder/index.ts";
import { expectFit } from "./artifact-checks.ts";
import { type GraphInput, graphInputs } from "./feeds.ts";
import type { GraphOutput } from "./given-arrays.ts";
import { expectPassable } from "./refusals.ts";
import { readSources, type TrainingSessionCreateOptions, type TrainingSources } from "./sources.ts";

/** A model as its file stores it. */
export interface DecodedModel extends BoundGraph {
  readonly metadataProps: Readonly<Record<string, string>>;
}

/**
 * Training artifacts as their files store them, except that a stock optimizer is expanded to one update per
 * parameter.
 */
export interface DecodedModels {
  readonly checkpoint: Checkpoint;
  readonly training: DecodedModel;
  readonly evaluation: DecodedModel | undefined;
  readonly optimizer: BoundGraph | undefined;
  /** The bytes of the file that the model came from. */
  readonly source: Uint8Array | undefined;
}

/**
 * A model that a device opens: every training operator is lowered, and every effect on state is an output.
 */
export interface LoweredModel {
  readonly bytes: Uint8Array;
  readonly inputs: readonly GraphInput[];
  readonly outputs: readonly GraphOutput[];
  readonly bindings: readonly Binding[];
  /** Whether gradients are added to their buffers always, which are fed as zeros to begin anew. */
  readonly addsGradients: boolean;
  /** Whether the lowering chose the layout of the convolutions, which ONNX Runtime then need not optimise. */
  readonly isLaidOut: boolean;
}

/** How models are lowered, beside the lowering. */
export interface LoweringOptions {
  /** Whether buffers of gradients may be fed as zeros, because that copies nothing to the device. */
  readonly addsGradients?: boolean | undefined;
}

/** The lowered models of a training. */
export interface LoweredModels {
  readonly train: LoweredModel;
  /** The training model for inputs of other sizes. */
  readonly otherSizes?: readonly LoweredModel[] | undefined;
  readonly evaluate?: LoweredModel | undefined;
  readonly optimize?: LoweredModel | undefined;
}

/** Artifacts before their models are decoded. */
export interface ReadArtifacts {
  readonly files: TrainingSources<Uint8Array>;
  readonly checkpoint: Checkpoint;
}

/** Reads artifacts. Throws UserError where a file cannot be read, and for a damaged checkpoint. */
export async function readArtifacts(
  sources: TrainingSources | TrainingSessionCreateOptions,
): Promise<ReadArtifacts> {
  const files = await readSources(sources);
  return { files, checkpoint: decodeCheckpoint(files.checkpoint, "checkpoint") };
}

/** Reads and decodes artifacts. Throws UserError as readArtifacts and decodeArtifacts do. */
export async function decodeSources(
  sources: TrainingSources | TrainingSessionCreateOptions,
): Promise<DecodedModels> {
  return decodeArtifacts(await readArtifacts(sources));
}

/**
 * Decodes the models of artifacts. Throws UserError where one is damaged, where an operator is not covered,
 * and where the files do not belong together, as `expectFit` says.
 */
export function decodeArtifacts({ files, checkpoint }: ReadArtifacts): DecodedModels {
  const { trainingModel, evalModel, optimizerModel, sourceModel } = files;
  const decode = (bytes: Uint8Array, kind: ModelKind, where: string) =>
    bindDecoded(decodeModel(bytes, where), kind, checkpoint, where);
  const decoded = {
    checkpoint,
    training: decode(trainingModel, "training", "training_model.onnx"),
    evaluation: evalModel && decode(evalModel, "evaluation", "eval_model.onnx"),
    optimizer:
      optimizerModel &&
      expandOptimizer(decode(optimizerModel, "optimizer", "optimizer_model.onnx"), checkpoint),
    source: sourceModel,
  };
  expectFit(decoded);
  return decoded;
}

/**
 * A training's model with its bindings, read or derived. Throws UserError, naming `where`, for damaged ones.
 */
export function bindDecoded(
  model: Model,
  kind: ModelKind,
  { trainable, frozen }: Checkpoint,
  where: string,
): DecodedModel {
  const tensors = { trainable: new Set(trainable.keys()), frozen: new Set(frozen.keys()) };
  const { inputs, outputs } = model.graph;
  expectPassable(
    [...inputs, ...outputs].flatMap((value) => value.name ?? []),
    where,
  );
  return {
    graph: model.graph,
    bindings: bindingsOf(model, kind, tensors, where),
    metadataProps: model.metadataProps,
  };
}

/**
 * The models of artifacts for a device's lowering; the training model once for each of the sizes, if there
 * are some. Throws UserError where its inputs cannot have a size.
 */
export function lowerModels(
  { training, evaluation, optimizer }: DecodedModels,
  lowering: Lowering,
  sizes: readonly InputSizes[] = [],
  options: LoweringOptions = {},
): LoweredModels {
  return {
    ...lowerTraining(training, lowering, sizes, options),
    evaluate: evaluation && lowerModel(evaluation, lowering),
    optimize: optimizer && lowerModel(optimizer, lowering),
  };
}

/** A training model for a device's lowering, once for each of the sizes of its inputs, if there are some. */
export function lowerTraining(
  training: BoundGraph,
  lowering: Lowering,
  sizes: readonly InputSizes[],
  options: LoweringOptions = {},
): Pick<LoweredModels, "train" | "otherSizes"> {
  expectSizes(sizes);
  const lowered = sizes.map((each) =>
    lowerModel({ ...training, graph: sizedInputs(each).run(training.graph) }, lowering, options),
  );
  const [train = lowerModel(training, lowering, options), ...otherSizes] = lowered;
  return otherSizes.length > 0 ? { train, otherSizes } : { train };
}

function expectSizes(sizes: unknown): void {
  const isObject = (each: unknown) => typeof each === "object" && each !== null;
  if (Array.isArray(sizes) && sizes.every(isObject)) return;
  throw new UserError(`inputSizes must be a list of objects with shapes by input, not ${shown(sizes)}.`, {
    code: "setting-invalid",
    details: { setting: "inputSizes" },
  });
}

/** A model for a device's lowering: its state made explicit, in the operators of the device. */
export function lowerModel(
  bound: BoundGraph,
  lowering: Lowering,
  { addsGradients = false }: LoweringOptions = {},
): LoweredModel {
  const reset = bound.bindings.find(({ role }) => role === "reset-gradients")?.input;
  const adding = addsGradients && reset !== undefined ? [addedGradients(reset)] : [];
  const graph = runPasses(bound.graph, [...trainingPasses(lowering), ...adding, rankedScalars]);
  const isLaidOut = graph.nodes.some(({ opType }) => opType === "NchwcConv");
  return {
    // Where ONNX Runtime knows that two values have one size, it plans one memory for both, and keeps it from
    // the first to the last of a chain of them: a tenth of the memory of a deep network's step
    bytes: encodeModel(createModel(graph), { hasInnerTypes: !isLaidOut }),
    inputs: graphInputs(graph),
    outputs: graph.outputs.map(({ name = "", type }) => ({ name, type })),
    bindings: explicitBindings(bound),
    addsGradients: adding.length > 0,
    isLaidOut,
  };
}

/** An optimizer's graph without the updates of some parameters and of their moments. */
export function withoutUpdates(optimizer: BoundGraph, parameters: readonly string[]): BoundGraph {
  const { graph, bindings } = withExplicitState(optimizer);
  const others = new Set(parameters);
  const dropped = new Set(bindings.filter((binding) => others.has(ownerOf(binding))).map(outputOf));
  const kept = graph.outputs.map(({ name = "" }) => name).filter((name) => !dropped.has(name));
  const part = runPasses(graph, [freezeInputs(new Map(), kept)]);
  const inputs = new Set(part.inputs.map(({ name }) => name));
  return { graph: part, bindings: bindings.filter(({ input }) => inputs.has(input)) };
}

/** The parameter that a binding belongs to; the binding's input where it belongs to none. */
function ownerOf(binding: Binding): string {
  return "parameter" in binding ? binding.parameter : binding.input;
}

/**
 * Expands ONNX Runtime's stock optimizer model, which takes sequences, to one update per parameter. Returns
 * other models unchanged.
 */
function expandOptimizer(bound: BoundGraph, { trainable }: Checkpoint): BoundGraph {
  const stock = stockOptimizer(bound.graph);
  const parameters = [...trainable].map(([name, { dims }]) => ({ name, shape: dims }));
  return stock ? optimizerGraph(parameters, stock) : bound;
}
