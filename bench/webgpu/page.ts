// the page that main.ts opens: it trains on WebGPU by several lowerings, in turns
import * as ort from "onnxruntime-web/webgpu";
import { type LoweringName, loweringOf, RandomStream } from "../../graph-builder/index.ts";
import { datasets } from "../../runtime/data/dataset.ts";
import { webDevice } from "../../runtime/device/device.ts";
import { type NamedTensors, TrainingSession } from "../../runtime/session/training-session.ts";
import { type ArtifactSettings, blockCount, buildTrainingArtifacts } from "../../shakenet/index.ts";

/** The network and the lowerings to measure. */
export interface Subject {
  readonly depth: number;
  readonly width: number;
  readonly batch: number;
  readonly lowerings: readonly LoweringName[];
}

/** What one lowering took, in milliseconds: the warm-up, in which kernels are compiled, and each step. */
export interface Measured {
  readonly lowering: LoweringName;
  readonly warmUp: number;
  readonly steps: readonly number[];
  readonly losses: readonly number[];
}

async function measure({ depth, width, batch, lowerings }: Subject, rounds: number): Promise<Measured[]> {
  const { mean, std } = datasets.shapes;
  const settings: ArtifactSettings = {
    depth,
    width,
    classes: 10,
    mean,
    std,
    target: "ort-training",
    optimizer: "sgd-nesterov",
    momentum: 0.9,
    weightDecay: 1e-4,
    seed: 1,
  };
  const artifacts = buildTrainingArtifacts(settings);
  const feeds = batchFeeds(batch, blockCount(settings));
  const runs = [];
  for (const lowering of lowerings) {
    const device = { ...webDevice(ort, "webgpu"), lowering: loweringOf(lowering) };
    const session = await TrainingSession.create(artifacts, device);
    session.learningRate = 0.01;
    const warmUp = await timed(() => session.warmUp(feeds));
    runs.push({ lowering, session, warmUp, steps: [] as number[], losses: [] as number[] });
  }
  // the first round grows the memory
  for (let round = -1; round < rounds; round++) {
    for (const { session, steps, losses } of runs) {
      const milliseconds = await timed(async () => void losses.push(await step(session, feeds)));
      if (round >= 0) steps.push(milliseconds);
    }
  }
  for (const { session } of runs) await session.release();
  return runs.map(({ session: _, ...measured }) => measured);
}

/** Milliseconds of a task, and of what it gave the graphics card to do. */
async function timed(task: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await task();
  await (await ort.env.webgpu.device).queue.onSubmittedWorkDone();
  return performance.now() - start;
}

async function step(session: TrainingSession, feeds: NamedTensors): Promise<number> {
  session.lazyResetGrad();
  const { loss } = await session.runTrainStep(feeds);
  await session.runOptimizerStep();
  return Number(loss?.data[0]);
}

function batchFeeds(size: number, blocks: number): NamedTensors {
  const random = new RandomStream(1, "batch");
  const shares = (name: string) => {
    const data = new Float32Array(blocks * size);
    new RandomStream(1, name).fillUniform(data);
    return new ort.Tensor("float32", data, [blocks, size]);
  };
  return {
    images: new ort.Tensor(
      "uint8",
      Uint8Array.from({ length: size * 3072 }, (_, i) => random.integer(i, 256)),
      [size, 3, 32, 32],
    ),
    labels: new ort.Tensor(
      "int64",
      BigInt64Array.from({ length: size }, (_, i) => BigInt(i % 10)),
      [size],
    ),
    alpha: shares("alpha"),
    beta: shares("beta"),
  };
}

ort.env.wasm.numThreads = 1;
Object.assign(globalThis, { measure });
