import { type Checkpoint, encodeCheckpoint } from "../artifacts/checkpoint.ts";
import { type InitialState, initialCheckpoint } from "../artifacts/initial-checkpoint.ts";
import type { Manifest, TrainingArtifacts } from "../artifacts/manifest.ts";
import {
  type BoundGraph,
  bindModel,
  costOf,
  createModel,
  encodeModel,
  isStockRule,
  momentCounts,
  optimizerGraph,
  stockOptimizerGraph,
} from "../graph-builder/index.ts";
import { blockCount, networkName } from "./network.ts";
import { type ArtifactSettings, optimizerRule } from "./settings.ts";
import { evaluationModel, networkTensors, type ParameterizedGraph, trainingModel } from "./training-graph.ts";

/** The manifest of a ShakeNet's artifacts. */
export interface ShakeNetManifest extends Manifest {
  readonly network: string;
  readonly settings: ArtifactSettings;
  readonly blocks: number;
}

/** The training artifacts of a ShakeNet. */
export type ShakeNetArtifacts = TrainingArtifacts<ShakeNetManifest>;

/** Whether a manifest is one of a ShakeNet's artifacts. */
export function isShakeNetManifest(manifest: Manifest): manifest is ShakeNetManifest {
  return "settings" in manifest;
}

/**
 * The training artifacts of a network; the same settings always give the same bytes. Throws UserError for
 * invalid network settings.
 */
export function buildTrainingArtifacts(settings: ArtifactSettings): ShakeNetArtifacts {
  const training = trainingModel(settings);
  const write = (bound: BoundGraph, docString: string) => encodeModel(bindModel(bound, { docString }));
  const name = `ShakeNet ${networkName(settings)}`;
  return {
    trainingModel: write(
      training,
      `${name}: forward, loss${settings.fused ? ", backward and update" : " and backward"}`,
    ),
    evalModel: encodeModel(
      createModel(evaluationModel(settings), { docString: `${name}: evaluation with alpha = 0.5` }),
    ),
    ...(settings.fused
      ? {}
      : {
          optimizerModel: write(optimizerModel(training, settings), `${name}: ${settings.optimizer} step`),
        }),
    checkpoint: encodeCheckpoint(initialCheckpoint(training.parameters, initialState(settings))),
    manifest: describe(training, settings),
  };
}

/**
 * The number of trained values in a checkpoint; the checkpoint of a fused model has them among its frozen
 * tensors.
 */
export function parameterCount({ trainable, frozen, properties }: Checkpoint): number {
  const settings = JSON.parse(String(properties.get("settings") ?? "{}")) as Partial<ArtifactSettings>;
  const names = settings.fused ? trainedNames(settings as ArtifactSettings) : [...trainable.keys()];
  return names.reduce((sum, name) => sum + ((trainable.get(name) ?? frozen.get(name))?.data.length ?? 0), 0);
}

function trainedNames(settings: ArtifactSettings): string[] {
  const parameters = networkTensors(settings).filter(({ kind }) => kind === "parameter");
  return parameters.map(({ name }) => name);
}

/** ONNX Runtime's stock optimizers take all parameters as sequences, for which there are no bindings. */
function optimizerModel({ parameters }: ParameterizedGraph, settings: ArtifactSettings): BoundGraph {
  const rule = optimizerRule(settings);
  if (settings.target === "ort-training" && isStockRule(rule))
    return { graph: stockOptimizerGraph(rule), bindings: [] };
  return optimizerGraph(
    parameters.filter(({ kind }) => kind === "parameter"),
    rule,
  );
}

function initialState(settings: ArtifactSettings): InitialState {
  return {
    seed: settings.seed,
    moments: momentCounts[optimizerRule(settings).kind],
    fused: settings.fused === true,
    properties: new Map([["settings", JSON.stringify(settings)]]),
  };
}

function describe({ graph, parameters }: ParameterizedGraph, settings: ArtifactSettings): ShakeNetManifest {
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
