import { join } from "node:path";
import { countIn } from "../../artifacts/index.ts";
import { decodeModel } from "../../graph-builder/index.ts";
import type { ClassificationEvent, ClassificationRecord } from "../../runtime/index.ts";
import { readFileBytes } from "../../runtime/node/index.ts";
import { EventFile } from "../../runtime/node/tensorboard/event-file.ts";
import { graphDefOf } from "../../runtime/node/tensorboard/graph-def.ts";
import { shakeNetFunctions } from "../../shakenet/index.ts";
import type { TrainRun } from "../commands/train/prepared-run.ts";
import { measuredPart } from "../data/part-name.ts";
import type { Reporter } from "./reporter.ts";

/** The most steps of a run that TensorBoard is told of; its charts show 1,000. */
const MOST_STEPS = 5000;

/**
 * Writes event files for TensorBoard into the folder `tensorboard` of a run: the scalars of every epoch and
 * up to 5,000 steps, the graph of the network, and the curves at the end. A run that goes on has nothing
 * twice.
 */
export async function tensorboardReporter(directory: TrainRun, steps: number): Promise<Reporter> {
  const folder = join(directory.path, "tensorboard");
  const { properties } = await directory.checkpoint("last");
  const start = countIn(properties, "step", directory.checkpointPath("last")) ?? 0;
  const file = await EventFile.start(folder, start);
  const stride = Math.ceil(steps / MOST_STEPS);
  const part = measuredPart(directory.config);
  if (!file.hasGraph) await file.append({ type: "graph", graphDef: await graphOf(directory) }, 0);
  let last = start;
  const write = async (scalars: Readonly<Record<string, number>>, step: number) => {
    for (const [tag, value] of Object.entries(scalars))
      await file.append({ type: "scalar", tag, value }, step);
  };
  return {
    async report(event) {
      if (event.type === "step" && event.step % stride === 0) await write(stepScalars(event), event.step);
      else if (event.type === "epoch") await write(epochScalars(event.record, part), event.record.step);
      if (event.type === "step" || event.type === "checkpoint") last = event.step;
    },
    async finish() {
      const image = await pngOf(join(directory.path, "curves.svg"));
      if (image) await file.append({ type: "image", tag: "curves", image }, last);
      return { path: folder, what: "events, for tensorboard --logdir" };
    },
  };
}

function stepScalars({
  batchMetrics,
  learningRate,
  examplesPerSecond,
}: Extract<ClassificationEvent, { type: "step" }>) {
  return {
    "step/loss": batchMetrics.loss,
    "step/learning_rate": learningRate,
    "step/images_per_second": examplesPerSecond,
  };
}

function epochScalars(record: ClassificationRecord, part: string) {
  return {
    "loss/train": record.train_loss,
    [`loss/${part}`]: record.test_loss,
    "accuracy/train": record.train_accuracy,
    [`accuracy/${part}`]: record.test_accuracy,
    "epoch/learning_rate": record.learning_rate,
    "epoch/images_per_second": record.images_per_second,
    "epoch/seconds": record.seconds,
  };
}

/** The network as it is evaluated, up to its loss. */
async function graphOf({ path }: TrainRun): Promise<Uint8Array> {
  const file = join(path, "graph", "eval_model.onnx");
  const { graph } = decodeModel(await readFileBytes(file), file, {
    functions: shakeNetFunctions,
    uncovered: "keep",
  });
  return graphDefOf(graph);
}

/** A drawing as a PNG; undefined where sharp, which is optional, is not installed. */
async function pngOf(svg: string) {
  const sharp = await import("sharp").then(
    (module) => module.default,
    () => undefined,
  );
  if (!sharp) return undefined;
  const { data, info } = await sharp(await readFileBytes(svg))
    .flatten({ background: "white" })
    .png()
    .toBuffer({ resolveWithObject: true });
  return { png: data, height: info.height, width: info.width };
}
