import { type Checkpoint, decodeCheckpoint } from "../../artifacts/checkpoint.ts";
import {
  createModel,
  decodeModel,
  encodeModel,
  freezeInputs,
  type Graph,
  type Lowering,
  type Model,
  momentCounts,
  momentNames,
  nextName,
  optimizerGraph,
  runPasses,
  stockOptimizer,
  trainingPasses,
  withExplicitState,
} from "../../graph-builder/index.ts";
import { readSources, type TrainingSessionCreateOptions, type TrainingSources } from "./sources.ts";

/** Training artifacts as they are in their files, but that an optimizer model has one update a parameter. */
export interface DecodedModels {
  readonly checkpoint: Checkpoint;
  readonly training: Graph;
  readonly evaluation: Model | undefined;
  readonly optimizer: Graph | undefined;
}

/** The files that a device opens: every training operator lowered, every effect on state an output. */
export interface LoweredModels {
  readonly train: Uint8Array;
  readonly evaluate?: Uint8Array | undefined;
  readonly optimize?: Uint8Array | undefined;
}

/** Reads artifacts. Throws UserError where a file cannot be read or is damaged, and where an operator is not covered. */
export async function decodeSources(
  sources: TrainingSources | TrainingSessionCreateOptions,
): Promise<DecodedModels> {
  const files = await readSources(sources);
  const { trainingModel, evalModel, optimizerModel } = files;
  const checkpoint = decodeCheckpoint(files.checkpoint, "checkpoint");
  return {
    checkpoint,
    training: decodeModel(trainingModel, "training_model.onnx").graph,
    evaluation: evalModel && decodeModel(evalModel, "eval_model.onnx"),
    optimizer:
      optimizerModel &&
      expandOptimizer(decodeModel(optimizerModel, "optimizer_model.onnx").graph, checkpoint),
  };
}

/** The files of artifacts for a device's lowering. */
export function lowerModels(
  { training, evaluation, optimizer }: DecodedModels,
  lowering: Lowering,
): LoweredModels {
  const file = (graph: Graph) => encodeModel(createModel(loweredGraph(graph, lowering)));
  return {
    train: file(training),
    evaluate: evaluation && file(evaluation.graph),
    optimize: optimizer && file(optimizer),
  };
}

/** A graph with its state made explicit, in the operators of a device. */
export function loweredGraph(graph: Graph, lowering: Lowering): Graph {
  return runPasses(graph, trainingPasses(lowering));
}

/** An optimizer's step without the updates of some parameters and of their moments. */
export function withoutUpdates(optimizer: Graph, parameters: readonly string[]): Graph {
  const explicit = withExplicitState(optimizer);
  const dropped = new Set(parameters.flatMap(statesOf).map(nextName));
  const outputs = explicit.outputs.map(({ name = "" }) => name).filter((name) => !dropped.has(name));
  return freezeInputs(explicit, new Map(), outputs);
}

/** The names of all that an optimizer can change for a parameter. */
function statesOf(parameter: string): string[] {
  const moments = Object.values(momentCounts).flatMap((count) => momentNames(parameter, count));
  return [parameter, `${parameter}_grad`, ...moments];
}

/** ONNX Runtime's stock optimizer model, which takes sequences, as one update a parameter; another model as it is. */
function expandOptimizer(graph: Graph, { trainable }: Checkpoint): Graph {
  const stock = stockOptimizer(graph);
  const parameters = [...trainable].map(([name, { dims }]) => ({ name, shape: dims }));
  return stock ? optimizerGraph(parameters, stock.rule, stock.maxNorm) : graph;
}
