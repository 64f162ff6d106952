import {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  joinAverages,
  type OptimizerState,
  splitAverages,
} from "../artifacts/index.ts";
import { momentCounts, momentNames, type Tensor } from "../graph-builder/index.ts";
import { optimizerRule } from "./settings.ts";
import {
  buildTrainingArtifacts,
  type ShakeNetArtifacts,
  type ShakeNetManifest,
} from "./training-artifacts.ts";

/**
 * Fused artifacts, which ONNX Runtime's own session trains at any learning rate: those that are not fused are
 * built anew from their manifest, and their checkpoint's weights and moments go along. Throws UserError for a
 * damaged checkpoint.
 */
export function fuseArtifacts(artifacts: ShakeNetArtifacts): ShakeNetArtifacts {
  const { settings } = artifacts.manifest;
  if (settings.fused && settings.target === "ort-training") return artifacts;
  const fused = buildTrainingArtifacts({ ...settings, target: "ort-training", fused: true });
  const checkpoint = settings.fused ? artifacts.checkpoint : fuseCheckpoint(artifacts);
  return { ...fused, checkpoint };
}

/** Converts a checkpoint of fused artifacts to the layout of the artifacts that they were built from. */
export function unfuseCheckpoint(bytes: Uint8Array, { manifest, checkpoint }: ShakeNetArtifacts): Uint8Array {
  if (manifest.settings.fused) return bytes;
  const { checkpoint: now, averages } = splitAverages(decodeCheckpoint(bytes));
  const { frozen: current, optimizer, properties } = now;
  const original = decodeCheckpoint(checkpoint);
  const update = (tensors: ReadonlyMap<string, Tensor>) =>
    new Map([...tensors].map(([name, tensor]) => [name, current.get(name) ?? tensor]));
  const unfused = {
    trainable: update(original.trainable),
    frozen: update(original.frozen),
    optimizer: optimizer && { ...optimizer, momenta: momentaOf(original, current, momentsOf(manifest)) },
    properties,
  };
  return encodeCheckpoint(joinAverages({ checkpoint: unfused, averages }));
}

function fuseCheckpoint({ manifest, checkpoint }: ShakeNetArtifacts): Uint8Array {
  const { trainable, frozen, optimizer, properties } = decodeCheckpoint(checkpoint);
  const moments = [...trainable.keys()].flatMap((parameter) =>
    momentNames(parameter, momentsOf(manifest)).flatMap((name, i): [string, Tensor][] => {
      const moment = optimizer?.momenta.get(parameter)?.[i];
      return moment ? [[name, moment]] : [];
    }),
  );
  return encodeCheckpoint({
    trainable: new Map(),
    frozen: new Map([...trainable, ...frozen, ...moments]),
    optimizer: optimizer && { ...optimizer, momenta: new Map() },
    properties,
  });
}

/** The moments by parameter. ONNX Runtime's SGD does not use its moments, so the original ones are kept. */
function momentaOf(
  { trainable, optimizer }: Checkpoint,
  current: ReadonlyMap<string, Tensor>,
  count: number,
): OptimizerState["momenta"] {
  return new Map(
    [...trainable.keys()].map((parameter) => {
      const moments = momentNames(parameter, count).flatMap((name) => current.get(name) ?? []);
      return [parameter, moments.length > 0 ? moments : (optimizer?.momenta.get(parameter) ?? [])];
    }),
  );
}

function momentsOf({ settings }: ShakeNetManifest): number {
  return momentCounts[optimizerRule(settings).kind];
}
