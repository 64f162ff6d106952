import { writeFile } from "node:fs/promises";
import { buildTrainingArtifacts, inferenceModel, shakeNetTask } from "shakenet";
import { loadDataset, openDevice } from "shakenet/node";
import { cosine, TrainingSession, train } from "shakenet/runtime";

const trainSet = await loadDataset("shapes", { split: "train", limit: 640 });
const testSet = await loadDataset("shapes", { split: "test", limit: 200 });
const device = await openDevice("cpu", { threads: 1 });

// compile the network into ONNX Runtime's training artifacts, and open them
const network = { depth: 8, width: 4, classes: 10, mean: trainSet.mean, std: trainSet.std };
const artifacts = buildTrainingArtifacts({
  ...network,
  target: "ort-training",
  optimizer: "sgd-nesterov",
  momentum: 0.9,
  weightDecay: 1e-4,
  seed: 1,
});
const session = await TrainingSession.create(artifacts, device);

// train, and keep the last and the best checkpoint
const task = shakeNetTask({
  network,
  trainSet,
  testSet,
  device,
  batchSize: 32,
  seed: 1,
  forward: "shake",
  backward: "shake",
  level: "image",
});
const events = train(session, task, {
  epochs: 3,
  learningRate: cosine(0.2),
  checkpointEverySteps: 1000,
  store: { save: (kind, bytes) => writeFile(`${kind}.checkpoint`, bytes) },
});
for await (const event of events) {
  if (event.type === "epoch") console.log(event.record);
}

// freeze the network into one .onnx file that any runtime can run
await writeFile("model.onnx", inferenceModel(network, await session.checkpoint()));
await session.release();
