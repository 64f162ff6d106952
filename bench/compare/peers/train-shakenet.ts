// trains with this project: train-shakenet.js FOLDER DEVICE REPLICAS [chunk]
// With "chunk", all steps of a turn are one call.

import { join } from "node:path";
import { ChunkedSession, isDeviceName, TrainingSession } from "../../../runtime/index.ts";
import { openDevice, ReplicatedSession, readTrainingArtifacts } from "../../../runtime/node/index.ts";
import { ownPeak, readWorkload, serve } from "./protocol.ts";
import { batchFeeds, timeCall, timeSteps, trainStep } from "./steps.ts";

const [folder = "", name = "cpu", replicas = "1", form = ""] = process.argv.slice(2);
const { threads, learningRate, arrays } = readWorkload(folder);
const { checkpoint, trainingModel, optimizerModel } = await readTrainingArtifacts(join(folder, "session"));
const sources = { checkpoint, trainingModel, optimizerModel };
if (!isDeviceName(name)) throw new RangeError(`there is no device ${name}`);
const device = await openDevice(name, { threads });
const feeds = batchFeeds(arrays, device.ort);
const turn = form === "chunk" ? await chunkTurn() : await stepTurn();
const { node, web } = device.ort.env.versions;
await serve(node === undefined ? `onnxruntime-web ${web}` : `onnxruntime-node ${node}`, async (steps) => ({
  ...(await turn(steps)),
  peak_rss_mb: ownPeak(),
}));

async function chunkTurn() {
  const session = await ChunkedSession.create(sources, device);
  return (steps: number) => timeCall(session, feeds, learningRate, steps);
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
