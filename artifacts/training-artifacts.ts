import {
  blockCount,
  type Cost,
  costOf,
  createModel,
  encodeModel,
  type Graph,
  networkName,
  optimizerGraph,
  stockOptimizerGraph,
} from "../graph-builder/index.ts";
import { type Checkpoint, encodeCheckpoint } from "./checkpoint.ts";
import { initialCheckpoint } from "./initial-checkpoint.ts";
import { type ArtifactSettings, optimizerRule } from "./settings.ts";
import { evaluationModel, networkTensors, type ParameterizedGraph, trainingModel } from "./training-model.ts";

/** ONNX Runtime's training artifacts: the bytes of the four files, and what they are. */
export interface TrainingArtifacts {
  readonly trainingModel: Uint8Array;
  readonly evalModel: Uint8Array;
  /** None where the training model is fused. */
  readonly optimizerModel?: Uint8Array | undefined;
  readonly checkpoint: Uint8Array;
  readonly manifest: Manifest;
}

/** `manifest.json`: what the files beside it were made from, and what they cost. */
export interface Manifest {
  readonly format: 1;
  readonly network: string;
  readonly settings: ArtifactSettings;
  readonly parameters: number;
  readonly blocks: number;
  /** For one image. */
  readonly cost: Cost;
}

/** The training artifacts of a network; the same settings always give the same bytes. Throws UserError for settings that make no network. */
export function buildTrainingArtifacts(settings: ArtifactSettings): TrainingArtifacts {
  const training = trainingModel(settings);
  const write = (graph: Graph, docString: string) => encodeModel(createModel(graph, { docString }));
  const name = `ShakeNet ${networkName(settings)}`;
  return {
    trainingModel: write(
      training.graph,
      `${name}: forward, loss${settings.fused ? ", backward and update" : " and backward"}`,
    ),
    evalModel: write(evaluationModel(settings), `${name}: evaluation with alpha = 0.5`),
    ...(settings.fused
      ? {}
      : { optimizerModel: write(optimizerModel(training, settings), `${name}: ${settings.optimizer} step`) }),
    checkpoint: encodeCheckpoint(initialCheckpoint(training.parameters, settings)),
    manifest: describe(training, settings),
  };
}

/** The number of trained values in a checkpoint; one of a fused model keeps them among its frozen tensors. */
export function parameterCount({ trainable, frozen, properties }: Checkpoint): number {
  const settings = JSON.parse(String(properties.get("settings") ?? "{}")) as Partial<ArtifactSettings>;
  const names = settings.fused ? trainedNames(settings as ArtifactSettings) : [...trainable.keys()];
  return names.reduce((sum, name) => sum + ((trainable.get(name) ?? frozen.get(name))?.data.length ?? 0), 0);
}

function trainedNames(settings: ArtifactSettings): string[] {
  const parameters = networkTensors(settings).filter(({ kind }) => kind === "parameter");
  return parameters.map(({ name }) => name);
}

function optimizerModel({ parameters }: ParameterizedGraph, settings: ArtifactSettings): Graph {
  const rule = optimizerRule(settings);
  const isStock = settings.target === "ort-training" && rule.kind !== "sgd-nesterov";
  if (isStock) return stockOptimizerGraph(rule);
  return optimizerGraph(
    parameters.filter(({ kind }) => kind === "parameter"),
    rule,
  );
}

function describe({ graph, parameters }: ParameterizedGraph, settings: ArtifactSettings): Manifest {
  const trained = parameters.filter(({ kind }) => kind === "parameter");
  return {
    format: 1,
    network: networkName(settings),
    settings,
    parameters: trained.reduce((sum, { shape }) => sum + shape.reduce((product, dim) => product * dim, 1), 0),
    blocks: blockCount(settings),
    cost: costOf(graph),
  };
}
