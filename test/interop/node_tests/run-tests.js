// reads, writes and runs models and their gradients: run-tests.js JOBS, printing a line of JSON for each job
// JOBS is JSON: [{ name, model, again, feeds, gradient: { feeds, outputs, inputs } | null }], tensors as in
// ../tensors.js

import { readFile, writeFile } from "node:fs/promises";
import { decodeModel, encodeModel, gradients } from "../../../dist/graph-builder/index.js";
import { openDevice } from "../../../dist/runtime/node/index.js";
import { decodeTensors, encodeTensors } from "../tensors.js";

const jobs = JSON.parse(await readFile(process.argv[2], "utf8"));
const { ort } = await openDevice("cpu");

/** What a step gives, or `{ error }`, the sentence of what it throws. */
async function attempt(step) {
  try {
    return await step();
  } catch (error) {
    return { error: String(error.message).split("\n", 1)[0] };
  }
}

async function run(bytes, described) {
  const session = await ort.InferenceSession.create(bytes, { graphOptimizationLevel: "disabled" });
  try {
    const feeds = decodeTensors(ort, described);
    const read = session.inputNames.map((name) => [name, feeds[name]]);
    return { outputs: encodeTensors(await session.run(Object.fromEntries(read))) };
  } finally {
    await session.release();
  }
}

async function test({ name, model: file, again, feeds, gradient }) {
  const bytes = await readFile(file);
  const read = await attempt(() => ({ model: decodeModel(bytes, name) }));
  if (read.error) return { name, read: read.error };
  const { model } = read;
  const types = model.graph.outputs.map(({ type }) => type);
  const written = await attempt(async () => {
    const own = encodeModel(model);
    await writeFile(again, own);
    return run(own, feeds);
  });
  const derived =
    gradient &&
    (await attempt(() => {
      const { outputs, inputs, feeds: point } = gradient;
      const options = { gradOutputs: true, additionalOutputs: outputs };
      return run(encodeModel(gradients(model, outputs, inputs, options)), point);
    }));
  return { name, read: null, types, written, gradient: derived };
}

for (const job of jobs) process.stdout.write(`${JSON.stringify(await test(job))}\n`);
