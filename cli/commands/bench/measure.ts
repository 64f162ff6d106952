import { availableParallelism } from "node:os";
import {
  decodeModel,
  loweringOf,
  RandomStream,
  runPasses,
  trainingPasses,
} from "../../../graph-builder/index.ts";
import {
  type Device,
  type NamedTensors,
  type Trainer,
  TrainingSession,
  type TrainingSources,
} from "../../../runtime/index.ts";
import { openDevice, ReplicatedSession } from "../../../runtime/node/index.ts";
import type { OperatorTime, Profiler } from "../../../runtime/node/profile.ts";
import { trainingSources } from "../../../runtime/node/run/engine.ts";
import {
  buildTrainingArtifacts,
  imageShape,
  type ShakeNetManifest,
  shakeCoefficients,
} from "../../../shakenet/index.ts";
import { artifactSettings, runConfig } from "../../../shakenet/node/run-config.ts";
import { openProgress } from "../../progress.ts";
import type { BenchSettings } from "./command.ts";

/** Opens the device with the threads of all replicas together, and with the lowering that was asked for. */
export async function openBenchDevice(config: BenchSettings): Promise<Device> {
  const { device: name, replicas, lowering } = config;
  const device = await openDevice(name, {
    threads: replicas > 1 ? threadsOf(config) * replicas : config.threads,
  });
  if (lowering === undefined) return device;
  return { ...device, lowering: loweringOf(lowering) };
}

/** The number of CPU threads of each session. */
export function threadsOf({ threads, device, replicas }: BenchSettings): number {
  return threads ?? (device === "wasm" || replicas > 1 ? 1 : availableParallelism());
}

/** The measurements of a benchmark. */
export interface Measured {
  readonly manifest: ShakeNetManifest;
  /** The time to open a session from the artifacts, in milliseconds. */
  readonly sessionStart: number;
  /** The time of every timed step. */
  readonly milliseconds: readonly number[];
  readonly peakRssMb: number;
  readonly operators: readonly OperatorTime[] | undefined;
}

/** Runs the warm-up steps and times further steps, all on random images. */
export async function measureSteps(
  config: BenchSettings,
  device: Device,
  profiler?: Profiler,
): Promise<Measured> {
  const { depth, width, steps, warmup, batchSize } = config;
  const artifacts = buildTrainingArtifacts(artifactSettings(runConfig({ depth, width }), "ort-training"));
  const { trainingModel, manifest } = artifacts;
  const start = performance.now();
  const session = await openSession(trainingSources(artifacts), device, config);
  const sessionStart = performance.now() - start;
  const feeds = randomBatch(device, batchSize, manifest.blocks);
  const milliseconds: number[] = [];
  const progress = openProgress();
  try {
    for (let step = 0; step < warmup + steps; step++) {
      const time = await timeStep(session, feeds);
      if (step >= warmup) milliseconds.push(time);
      progress.update(step + 1, warmup + steps, `step ${step + 1}/${warmup + steps}  ${time.toFixed(0)} ms`);
    }
  } finally {
    progress.stop();
  }
  const peakRssMb = (process.resourceUsage().maxRSS * 1024) / 1e6;
  const { graph } = decodeModel(trainingModel, "training_model.onnx");
  const lowered = runPasses(graph, trainingPasses(device.lowering));
  const operators = await profiler?.finish({ graph: lowered, batchSize, warmup });
  await session.release();
  return { manifest, sessionStart, milliseconds, peakRssMb, operators };
}

async function openSession(
  sources: TrainingSources,
  device: Device,
  config: BenchSettings,
): Promise<TrainingSession | ReplicatedSession> {
  const { replicas } = config;
  if (replicas === 1) return TrainingSession.create(sources, device);
  const { lowering } = device;
  return ReplicatedSession.create(sources, { replicas, threads: threadsOf(config), lowering });
}

/** The milliseconds of a training step with its update. */
async function timeStep(session: Trainer, feeds: NamedTensors): Promise<number> {
  const start = performance.now();
  session.learningRate = 0.01;
  session.lazyResetGrad();
  const { loss } = await session.runTrainStep(feeds);
  await session.runOptimizerStep();
  const time = performance.now() - start;
  if (!Number.isFinite(Number(loss?.data[0]))) throw new Error(`the loss is ${loss?.data[0]}`);
  return time;
}

/** Random pixels and labels, with the coefficients of step 0. */
function randomBatch({ ort }: Device, batch: number, blocks: number): NamedTensors {
  const random = new RandomStream(1, "bench");
  const pixels = batch * imageShape.reduce((product: number, size) => product * size, 1);
  const images = Uint8Array.from({ length: pixels }, (_, i) => random.integer(i, 256));
  const labels = BigInt64Array.from({ length: batch }, (_, i) => BigInt(random.integer(pixels + i, 10)));
  const scheme = { forward: "shake", backward: "shake", level: "image" } as const;
  const { alpha, beta } = shakeCoefficients({ ...scheme, seed: 1, blocks, batch }, 0);
  const coefficients = (data: Float32Array) => new ort.Tensor("float32", data, [blocks, batch]);
  return {
    images: new ort.Tensor("uint8", images, [batch, ...imageShape]),
    labels: new ort.Tensor("int64", labels, [batch]),
    alpha: coefficients(alpha),
    beta: coefficients(beta),
  };
}
