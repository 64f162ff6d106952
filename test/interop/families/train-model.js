// makes training artifacts of a model and trains them: train-model.js RUN RESULTS
// RUN and RESULTS are JSON with the tensors of ../tensors.js

import { readFile, writeFile } from "node:fs/promises";
import { decodeCheckpoint, generateArtifacts, restoreModel } from "../../../dist/artifacts/index.js";
import { TrainingSession } from "../../../dist/runtime/index.js";
import { openDevice } from "../../../dist/runtime/node/index.js";
import { decodeTensors, encodeTensors } from "../tensors.js";

const [runPath, resultsPath] = process.argv.slice(2);
const run = JSON.parse(await readFile(runPath, "utf8"));
const device = await openDevice("cpu", { threads: 1 });
const { ort } = device;

/** The mean of -log p of the labels' classes, for models that return probabilities. */
function nllOfProbabilities(g, outputs) {
  const { probabilities } = outputs;
  const labels = g.input("labels", "int64", [probabilities.shape[0]]);
  const chosen = g.GatherElements(probabilities, g.Unsqueeze(labels, g.int64([1])), { axis: 1 });
  return g.Neg(g.ReduceMean(g.Log(chosen), { keepdims: 0 }));
}

const { loss } = run.options;
const artifacts = generateArtifacts(await readFile(run.model), {
  ...run.options,
  loss: loss === "nll-of-probabilities" ? nllOfProbabilities : loss,
});
const session = await TrainingSession.create(artifacts, device);
const { trainable } = artifacts.manifest;
const parameters = async () =>
  encodeTensors(
    Object.fromEntries(
      await Promise.all(trainable.map(async (name) => [name, await session.getParameter(name)])),
    ),
  );

const initial = await parameters();
const losses = [];
for (const feeds of run.batches) {
  const { loss } = await session.runTrainStep(decodeTensors(ort, feeds));
  losses.push(loss.data[0]);
  await session.runOptimizerStep();
  session.lazyResetGrad();
}
const checkpoint = decodeCheckpoint(await session.saveCheckpoint());
const restored = restoreModel(artifacts.sourceModel, checkpoint);
const inference = await ort.InferenceSession.create(restored);
const outputs = encodeTensors(await inference.run(decodeTensors(ort, run.evaluation)));
await writeFile(
  resultsPath,
  JSON.stringify({
    initial,
    trained: await parameters(),
    losses,
    outputs,
    warnings: artifacts.manifest.warnings,
  }),
);
await session.release();
