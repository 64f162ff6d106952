// trains with this project: train-shakenet.js FOLDER DEVICE REPLICAS [chunk | evaluate]
// With "chunk", all steps of a turn are one call. With "evaluate", the exported network classifies the batch.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { at } from "../../../graph-builder/index.ts";
import { ChunkedSession, isDeviceName, scoreOf, TrainingSession } from "../../../runtime/index.ts";
import { openDevice, ReplicatedSession, readTrainingArtifacts } from "../../../runtime/node/index.ts";
import { openClassifier } from "../../../shakenet/index.ts";
import { workloadFiles } from "../workload.ts";
import { ownPeak, readWorkload, serve } from "./protocol.ts";
import { batchFeeds, timeCall, timeSteps, trainStep } from "./steps.ts";

const [folder = "", name = "cpu", replicas = "1", form = ""] = process.argv.slice(2);
const { threads, learningRate, arrays } = readWorkload(folder);
const { checkpoint, trainingModel, optimizerModel } = await readTrainingArtifacts(join(folder, "session"));
const sources = { checkpoint, trainingModel, optimizerModel };
if (!isDeviceName(name)) throw new RangeError(`there is no device ${name}`);
const device = await openDevice(name, { threads });
const feeds = batchFeeds(arrays, device.ort);
const turns = { chunk: chunkTurn, evaluate: evaluationTurn, "": stepTurn };
const turn = await turns[form === "chunk" || form === "evaluate" ? form : ""]();
const { node, web } = device.ort.env.versions;
await serve(node === undefined ? `onnxruntime-web ${web}` : `onnxruntime-node ${node}`, async (steps) => ({
  ...(await turn(steps)),
  peak_rss_mb: ownPeak(),
}));

async function chunkTurn() {
  const session = await ChunkedSession.create(sources, device);
  return (steps: number) => timeCall(session, feeds, learningRate, steps);
}

async function evaluationTurn() {
  const model = await readFile(join(folder, workloadFiles.model));
  const classifier = await openClassifier(model, device, workloadFiles.model);
  const images = Uint8Array.from(arrays["images"]?.data ?? []);
  const labels = Array.from(arrays["labels"]?.data ?? []);
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

async function stepTurn() {
  const session =
    replicas === "1"
      ? await TrainingSession.create(sources, device)
      : await ReplicatedSession.create(sources, {
          replicas: Number(replicas),
          threads: Math.max(1, Math.floor(threads / Number(replicas))),
        });
  const step = trainStep(session, feeds, learningRate);
  return (steps: number) => timeSteps(steps, step);
}
