import type * as Ort from "onnxruntime-common";
import type { ChunkTrainer, Trainer } from "../../../runtime/session/trainer.ts";
import type { NamedTensors } from "../../../runtime/session/training-session.ts";
import type { Array32 } from "../workload.ts";

/** The answer of a peer after some steps. */
export interface Turn {
  /** The time of each step. */
  readonly ms: readonly number[];
  /** The loss of each step, before its update. */
  readonly losses: readonly number[];
  /** Missing where the system does not report it. */
  readonly peak_rss_mb?: number | undefined;
}

/**
 * Copies the batch of a workload into feeds of our training models, so that the workload's weights need not
 * stay in memory. A foreign model has one input.
 */
export function batchFeeds(
  { input, images, labels, alpha, beta }: Readonly<Record<string, Array32>>,
  { Tensor }: Pick<typeof Ort, "Tensor">,
): NamedTensors {
  if (input && labels) {
    return {
      input: new Tensor("float32", Float32Array.from(input.data), input.dims),
      labels: new Tensor("int64", BigInt64Array.from(labels.data, BigInt), labels.dims),
    };
  }
  if (!images || !labels || !alpha || !beta) throw new Error("the workload has no batch");
  return {
    images: new Tensor("uint8", Uint8Array.from(images.data), images.dims),
    labels: new Tensor("int64", BigInt64Array.from(labels.data, BigInt), labels.dims),
    alpha: new Tensor("float32", Float32Array.from(alpha.data), alpha.dims),
    beta: new Tensor("float32", Float32Array.from(beta.data), beta.dims),
  };
}

/** Returns a function that trains one step of our session, with the update, and returns the loss. */
export function trainStep(
  session: Trainer,
  feeds: NamedTensors,
  learningRate: number,
): () => Promise<number> {
  return async () => {
    session.learningRate = learningRate;
    session.lazyResetGrad();
    const { loss } = await session.runTrainStep(feeds);
    await session.runOptimizerStep();
    return Number(loss?.data[0]);
  };
}

/** Runs some steps and measures each. `step` returns the loss. */
export async function timeSteps(steps: number, step: () => Promise<number>): Promise<Turn> {
  const ms: number[] = [];
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) {
    const start = performance.now();
    losses.push(await step());
    ms.push(performance.now() - start);
  }
  return { ms, losses };
}

/** Takes some steps in one call of our session. Each step counts an equal share of the call's time. */
export async function timeCall(
  session: ChunkTrainer,
  feeds: NamedTensors,
  learningRate: number,
  steps: number,
): Promise<Turn> {
  const start = performance.now();
  const stacked = session.stack(Array.from({ length: steps }, () => feeds));
  const { loss } = await session.runSteps(stacked, new Float32Array(steps).fill(learningRate));
  const ms = (performance.now() - start) / steps;
  return { ms: Array.from({ length: steps }, () => ms), losses: Array.from(loss?.data ?? [], Number) };
}
