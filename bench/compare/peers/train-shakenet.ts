// trains with this project: train-shakenet.js FOLDER DEVICE REPLICAS

import { join } from "node:path";
import { isDeviceName, TrainingSession } from "../../../runtime/index.ts";
import { openDevice, ReplicatedSession, readTrainingArtifacts } from "../../../runtime/node/index.ts";
import { ownPeak, readWorkload, serve } from "./protocol.ts";
import { batchFeeds, timeSteps, trainStep } from "./steps.ts";

const [folder = "", name = "cpu", replicas = "1"] = process.argv.slice(2);
const { threads, arrays } = readWorkload(folder);
const { checkpoint, trainingModel, optimizerModel } = await readTrainingArtifacts(join(folder, "session"));
const sources = { checkpoint, trainingModel, optimizerModel };
if (!isDeviceName(name)) throw new RangeError(`there is no device ${name}`);
const device = await openDevice(name, { threads });
const session =
  replicas === "1"
    ? await TrainingSession.create(sources, device)
    : await ReplicatedSession.create(sources, {
        replicas: Number(replicas),
        threads: Math.max(1, Math.floor(threads / Number(replicas))),
      });
const step = trainStep(session, batchFeeds(arrays, device.ort));
const { node, web } = device.ort.env.versions;
await serve(node === undefined ? `onnxruntime-web ${web}` : `onnxruntime-node ${node}`, async (steps) => ({
  ...(await timeSteps(steps, step)),
  peak_rss_mb: ownPeak(),
}));
