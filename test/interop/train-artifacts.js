// trains artifacts in our session: train-artifacts.js FOLDER RUN RESULTS CHECKPOINT
// RUN and RESULTS are JSON with the tensors of tensors.js

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readFileBytes } from "../../dist/artifacts/index.js";
import { TrainingSession } from "../../dist/runtime/index.js";
import { openDevice, writeFileAtomic } from "../../dist/runtime/node/index.js";
import { decodeTensors, encodeTensors } from "./tensors.js";

const [folder, runPath, resultsPath, checkpointPath] = process.argv.slice(2);
const run = JSON.parse(await readFile(runPath, "utf8"));
const device = await openDevice("cpu", { threads: 1 });

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
    training.push(encodeTensors(await session.runTrainStep(decodeTensors(device.ort, feeds))));
  }
  session.learningRate = rate;
  await session.runOptimizerStep();
  session.lazyResetGrad();
}
const evaluation = encodeTensors(await session.runEvalStep(decodeTensors(device.ort, run.evaluation)));
const names = { training: session.trainingInputNames, evaluation: session.evalInputNames };
await writeFile(resultsPath, JSON.stringify({ names, training, evaluation }));
await writeFileAtomic(checkpointPath, await session.saveCheckpoint());
await session.release();
