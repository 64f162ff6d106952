// the loss and the gradients of all parameters of a model, by the mean squared error
// gradients.js RUN RESULTS ELEMENTS
// RUN is JSON with the tensors of ../tensors.js, RESULTS is JSON with the gradients' dims, and ELEMENTS has
// their bytes

import { readFile, writeFile } from "node:fs/promises";
import { decodeCheckpoint, generateArtifacts } from "../../../dist/artifacts/index.js";
import { openDevice } from "../../../dist/runtime/node/index.js";
import { decodeTensors } from "../tensors.js";

const [runPath, resultsPath, elementsPath] = process.argv.slice(2);
const run = JSON.parse(await readFile(runPath, "utf8"));
const { ort } = await openDevice("cpu");

const start = performance.now();
const { trainingModel, checkpoint, manifest } = generateArtifacts(await readFile(run.model), {
  loss: "mse",
  target: "standard",
});
const seconds = (performance.now() - start) / 1000;

const { trainable, frozen } = decodeCheckpoint(checkpoint);
const state = [...trainable, ...frozen].map(([name, { data, dims }]) => [
  name,
  new ort.Tensor("float32", data, dims),
]);
const session = await ort.InferenceSession.create(trainingModel);
const feeds = { ...Object.fromEntries(state), ...decodeTensors(ort, run.feeds) };
const read = session.inputNames.map((name) => [name, feeds[name]]);
const outputs = await session.run(Object.fromEntries(read));
const gradients = manifest.trainable.map((name) => [name, outputs[`${name}_grad`]]);
const dims = Object.fromEntries(gradients.map(([name, gradient]) => [name, gradient.dims]));
await writeFile(resultsPath, JSON.stringify({ loss: outputs.loss.data[0], seconds, dims }));
await writeFile(
  elementsPath,
  Buffer.concat(gradients.map(([, { data }]) => Buffer.from(data.buffer, data.byteOffset, data.byteLength))),
);
