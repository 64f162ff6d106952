// trains a small ShakeNet in a process of its own: webgpu-steps.mjs DEVICE

import { TrainingSession } from "../../dist/runtime/index.js";
import { openDevice } from "../../dist/runtime/node/index.js";
import { buildTrainingArtifacts } from "../../dist/shakenet/index.js";

const device = await openDevice(process.argv[2], { threads: 1 });
const { Tensor } = device.ort;
const network = { depth: 8, width: 4, classes: 10, mean: [125, 123, 114], std: [63, 62, 67] };
const optimizer = {
  target: "ort-training",
  optimizer: "sgd-nesterov",
  momentum: 0.9,
  weightDecay: 1e-4,
};
const [size, blocks] = [4, 3];

/** Numbers from 0 to 1, the same in each process. */
const numbers = (length, seed) =>
  Float32Array.from({ length }, (_, i) => ((i * 7919 + seed * 104729) % 1009) / 1009);

const feedsOf = (step) => ({
  images: new Tensor(
    "uint8",
    Uint8Array.from(numbers(size * 3072, step), (value) => 256 * value),
    [size, 3, 32, 32],
  ),
  labels: new Tensor(
    "int64",
    BigInt64Array.from({ length: size }, (_, i) => BigInt((i + step) % 10)),
    [size],
  ),
  alpha: new Tensor("float32", numbers(blocks * size, step + 1), [blocks, size]),
  beta: new Tensor("float32", numbers(blocks * size, step + 2), [blocks, size]),
});

const session = await TrainingSession.create(
  buildTrainingArtifacts({ ...network, ...optimizer, seed: 1 }),
  device,
);
session.learningRate = 0.05;
await session.warmUp(feedsOf(9));
const losses = [];
for (let step = 0; step < 3; step++) {
  session.lazyResetGrad();
  const { loss } = await session.runTrainStep(feedsOf(step));
  await session.runOptimizerStep();
  losses.push(loss.data[0]);
  // a read moves the state to JavaScript's memory, from where the next step takes it
  if (step === 1) await session.checkpoint();
}
const parameters = [...(await session.getContiguousParameters(false)).data];
await session.release();
console.log(JSON.stringify({ losses, parameters, location: device.memory?.location }));
