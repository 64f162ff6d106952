// trains with this project: train-shakenet.js FOLDER DEVICE REPLICAS [chunk | evaluate]
// With "chunk", all steps of a turn are one call. With "evaluate", the exported network classifies the batch.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { at } from "../../../graph-builder/index.ts";
import { ChunkedSession, isDeviceName, scoreOf, TrainingSession } from "../../../runtime/index.ts";
import { openDevice, ReplicatedSession, readTrainingArtifacts } from "../../../runtime/node/index.ts";
import type { TrainingSources } from "../../../runtime/session/sources.ts";
import type { Trainer } from "../../../runtime/session/trainer.ts";
import type { NamedTensors } from "../../../runtime/session/training-session.ts";
import { openClassifier } from "../../../shakenet/index.ts";
import { workloadFiles } from "../workload.ts";
import { ownPeak, readWorkload, serve } from "./protocol.ts";
import { batchFeeds, timeCall, timeSteps, trainStep } from "./steps.ts";

const [folder = "", name = "cpu", replicas = "1", form = ""] = process.argv.slice(2);
if (!isDeviceName(name)) throw new RangeError(`there is no device ${name}`);
const { threads, learningRate } = readWorkload(folder);
const device = await openDevice(name, { threads });
const turns = { chunk: chunkTurn, evaluate: evaluationTurn, "": stepTurn };
const turn = await turns[form === "chunk" || form === "evaluate" ? form : ""]();
const { node, web } = device.ort.env.versions;
await serve(node === undefined ? `onnxruntime-web ${web}` : `onnxruntime-node ${node}`, async (steps) => ({
  ...(await turn(steps)),
  peak_rss_mb: ownPeak(),
}));

function feedsOf(): NamedTensors {
  return batchFeeds(readWorkload(folder).arrays, device.ort);
}

/** What a training needs: without the eval model, of which a session would be opened too. */
async function sourcesOf(): Promise<TrainingSources> {
  const { checkpoint, trainingModel, optimizerModel } = await readTrainingArtifacts(join(folder, "session"));
  return { checkpoint, trainingModel, optimizerModel };
}

async function openStepper(): Promise<Trainer> {
  const sources = await sourcesOf();
  if (replicas === "1") return TrainingSession.create(sources, device);
  const count = Number(replicas);
  return ReplicatedSession.create(sources, {
    replicas: count,
    threads: Math.max(1, Math.floor(threads / count)),
  });
}

async function chunkTurn() {
  const feeds = feedsOf();
  const session = await ChunkedSession.create(await sourcesOf(), device);
  return (steps: number) => timeCall(session, feeds, learningRate, steps);
}

async function evaluationTurn() {
  const model = await readFile(join(folder, workloadFiles.model));
  const classifier = await openClassifier(model, device, workloadFiles.model);
  const { images, labels } = evaluationBatch();
  const step = async () => {
    const { data, dims } = await classifier.logits(images);
    const classes = at(dims, 1);
    const losses = labels.map((label, i) => {
      const row = Float32Array.from({ length: classes }, (_, k) => Number(data[i * classes + k]));
      return scoreOf(row, label).loss;
    });
    return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  };
  return (steps: number) => timeSteps(steps, step);
}

function evaluationBatch() {
  const { images, labels } = readWorkload(folder).arrays;
  return { images: Uint8Array.from(images?.data ?? []), labels: Array.from(labels?.data ?? []) };
}

async function stepTurn() {
  const step = trainStep(await openStepper(), feedsOf(), learningRate);
  return (steps: number) => timeSteps(steps, step);
}
