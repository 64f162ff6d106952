import { availableParallelism } from "node:os";
import type { ArtifactBytes } from "../../../artifacts/manifest.ts";
import type { InputSizes } from "../../../graph-builder/index.ts";
import type { Device } from "../../device/device.ts";
import type { Link } from "../../replicas/ranks.ts";
import { ChunkedSession } from "../../session/chunked-session.ts";
import type { TrainingSources } from "../../session/sources.ts";
import { TrainingSession } from "../../session/training-session.ts";
import { ChunkedThread } from "../chunks/chunked-thread.ts";
import { ModelCache } from "../compiled/model-cache.ts";
import { openDevice } from "../devices.ts";
import { coresOfRank } from "../mpi/launcher.ts";
import { OrtTrainingSession } from "../ort-training/ort-training-session.ts";
import { ReplicatedSession } from "../replicas/replicated-session.ts";
import { type EngineSettings, expectTrainable, isChunked } from "./engine-settings.ts";

/** A training session, and the device of its tensors, which also evaluates the network. */
export interface Engine {
  readonly session: TrainingSession | ChunkedSession | ChunkedThread | ReplicatedSession | OrtTrainingSession;
  readonly device: Device;
}

/** What a session needs beside its settings. */
export interface EngineOptions {
  /**
   * The sizes of the training model's inputs where they are free, for sessions of single steps in ONNX
   * Runtime.
   */
  readonly inputSizes?: readonly InputSizes[] | undefined;
  /** The symbol of the batch's axis, along which replicas share a batch; `batch` where left out. */
  readonly batch?: string | undefined;
  /** Connects the ranks that train together, as many as the settings have. */
  readonly link?: Link | undefined;
  /** Keeps the compiled models; the cache of this user where left out. */
  readonly cache?: ModelCache | undefined;
}

/**
 * Opens the session that settings ask for. The engine ort-training needs a fused training model. Throws
 * UserError where the settings do not go together, and as the sessions do.
 */
export async function openEngine(
  sources: TrainingSources,
  settings: EngineSettings,
  { inputSizes, batch, link, cache = userCache() }: EngineOptions = {},
): Promise<Engine> {
  expectTrainable(settings);
  const { engine, device: name, threads, replicas } = settings;
  if (engine === "ort-training") {
    const session = await OrtTrainingSession.create(sources, { threads: threads ?? availableParallelism() });
    return { session, device: await openDevice("cpu", { threads }) };
  }
  if (replicas > 1 || link) {
    // a replica that has no others beside it on its rank has all cores
    const own = threads ?? (replicas === 1 ? coresOfRank() : 1);
    const session = await ReplicatedSession.create(sources, {
      replicas,
      threads: own,
      inputSizes,
      batch,
      link,
      cache,
    });
    const cores = threads === undefined ? link && coresOfRank() : threads * replicas;
    return { session, device: await openDevice("cpu", { threads: cores }) };
  }
  const device = await openDevice(name, { threads });
  if (isChunked(settings)) {
    const { precision, stepsPerCall = 1 } = settings;
    const chunk = { precision, stepsPerCall, cache };
    if (name === "cuda") {
      return { session: await ChunkedThread.create(sources, { ...chunk, device: name, threads }), device };
    }
    return { session: await ChunkedSession.create(sources, device, chunk), device };
  }
  return { session: await TrainingSession.create(sources, device, { inputSizes, cache }), device };
}

/** The cache of this user; none where SHAKE_DEBUG reports what the compiler does. */
function userCache(): ModelCache | undefined {
  return process.env["SHAKE_DEBUG"] ? undefined : new ModelCache();
}

/** The part of artifacts that training needs: all but the eval model. */
export function trainingSources({
  checkpoint,
  trainingModel,
  optimizerModel,
}: ArtifactBytes): TrainingSources {
  return { checkpoint, trainingModel, optimizerModel };
}
