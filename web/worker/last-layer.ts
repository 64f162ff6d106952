import { generateArtifacts } from "../../artifacts/generate.ts";
import { at } from "../../graph-builder/at.ts";
import { createBuilder } from "../../graph-builder/builder.ts";
import { Graph } from "../../graph-builder/ir.ts";
import { RandomStream } from "../../graph-builder/random.ts";
import { Tensor } from "../../graph-builder/tensor.ts";
import type { Device } from "../../runtime/device/device.ts";
import { cosine } from "../../runtime/loop/schedule.ts";
import { TrainingSession } from "../../runtime/session/training-session.ts";
import type { LastLayer } from "./features.ts";

/** Features float [count, features] and their labels. */
export interface LabelledFeatures {
  readonly features: Float32Array;
  readonly labels: Uint8Array;
  readonly classes: number;
}

/** A step of the training of a last layer, and its loss. */
export interface LayerStep {
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
}

const BATCH = 64;
/** The fewest steps, and the epochs where they are more: enough for twenty pictures and for five thousand. */
const [LEAST_STEPS, EPOCHS] = [300, 6];
const rate = cosine(0.03);

/**
 * Trains a last layer on features with AdamW, at a rate that falls along a cosine. Yields every step, and
 * returns the layer. `signal` ends it after a step.
 */
export async function* trainLastLayer(
  lesson: LabelledFeatures,
  device: Device,
  signal: AbortSignal,
): AsyncGenerator<LayerStep, LastLayer> {
  const { labels } = lesson;
  const perEpoch = Math.ceil(labels.length / BATCH);
  const steps = Math.max(LEAST_STEPS, EPOCHS * perEpoch);
  const { trainingModel, optimizerModel, checkpoint } = artifactsOf(lesson);
  const session = await TrainingSession.create({ trainingModel, optimizerModel, checkpoint }, device);
  try {
    for (let step = 1; step <= steps && !signal.aborted; step++) {
      session.learningRate = rate(step, steps);
      const outputs = await session.runTrainStep(batchOf(lesson, device, step - 1, perEpoch));
      await session.runOptimizerStep();
      session.lazyResetGrad();
      yield { step, steps, loss: Number(outputs["loss"]?.data[0]) };
    }
    const { trainable } = await session.checkpoint();
    return { weight: named(trainable, "weight"), bias: named(trainable, "bias") };
  } finally {
    await session.release();
  }
}

/** One fully connected layer behind the features, with cross-entropy. It starts at zero. */
function artifactsOf({ features, labels, classes }: LabelledFeatures) {
  const count = features.length / labels.length;
  const g = createBuilder(new Graph("last layer"));
  const zeros = (...dims: readonly number[]) =>
    new Tensor("float", dims, new Float32Array(dims.reduce((a, b) => a * b)));
  const weight = g.constant(zeros(classes, count), "weight");
  const bias = g.constant(zeros(classes), "bias");
  g.output(g.Gemm(g.input("features", "float", ["batch", count]), weight, bias, { transB: 1 }), "logits");
  return generateArtifacts(g.graph, { loss: { type: "cross-entropy" }, optimizer: "adamw" });
}

/** The features and labels of a step, counted from 0. Every epoch has an order of its own. */
function batchOf({ features, labels }: LabelledFeatures, { ort }: Device, step: number, perEpoch: number) {
  const columns = features.length / labels.length;
  const order = new RandomStream(1, "order").permutation(labels.length, Math.floor(step / perEpoch));
  const first = (step % perEpoch) * BATCH;
  const chosen = [...order.subarray(first, first + BATCH)];
  const rows = new Float32Array(chosen.length * columns);
  for (const [row, i] of chosen.entries())
    rows.set(features.subarray(i * columns, (i + 1) * columns), row * columns);
  const own = BigInt64Array.from(chosen, (i) => BigInt(at(labels, i)));
  return {
    features: new ort.Tensor("float32", rows, [chosen.length, columns]),
    labels: new ort.Tensor("int64", own, [chosen.length]),
  };
}

function named(tensors: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const tensor = tensors.get(name);
  if (tensor) return tensor;
  throw new Error(`the last layer has no ${name}`);
}
