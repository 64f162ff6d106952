// trains artifacts in our session: train-artifacts.js FOLDER RUN RESULTS CHECKPOINT
// RUN and RESULTS are JSON in which a tensor is { type, dims, data }, data being its bytes in base64

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readFileBytes } from "../../dist/artifacts/index.js";
import { TrainingSession } from "../../dist/runtime/index.js";
import { openDevice, writeFileAtomic } from "../../dist/runtime/node/index.js";

const arrays = { float32: Float32Array, int64: BigInt64Array };
const [folder, runPath, resultsPath, checkpointPath] = process.argv.slice(2);
const run = JSON.parse(await readFile(runPath, "utf8"));
const device = await openDevice("cpu", { threads: 1 });

function decode(feeds) {
  const tensors = Object.entries(feeds).map(([name, { type, dims, data }]) => {
    const values = new arrays[type](new Uint8Array(Buffer.from(data, "base64")).buffer);
    return [name, new device.ort.Tensor(type, values, dims)];
  });
  return Object.fromEntries(tensors);
}

function encode(tensors) {
  const values = Object.entries(tensors).map(([name, { type, dims, data }]) => {
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
    return [name, { type, dims, data: bytes.toString("base64") }];
  });
  return Object.fromEntries(values);
}

const open = (name) => readFileBytes(join(folder, name));
const session = await TrainingSession.create(
  {
    checkpoint: await readFileBytes(run.checkpoint),
    trainingModel: await open("training_model.onnx"),
    evalModel: await open("eval_model.onnx"),
    optimizerModel: await open("optimizer_model.onnx"),
  },
  device,
);

const accumulate = run.batches.length / run.learningRates.length;
const training = [];
for (const [i, rate] of run.learningRates.entries()) {
  for (const feeds of run.batches.slice(i * accumulate, (i + 1) * accumulate)) {
    training.push(encode(await session.runTrainStep(decode(feeds))));
  }
  session.learningRate = rate;
  await session.runOptimizerStep();
  session.lazyResetGrad();
}
const evaluation = encode(await session.runEvalStep(decode(run.evaluation)));
const names = { training: session.trainingInputNames, evaluation: session.evalInputNames };
await writeFile(resultsPath, JSON.stringify({ names, training, evaluation }));
await writeFileAtomic(checkpointPath, await session.saveCheckpoint());
await session.release();
