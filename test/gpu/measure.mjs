// Checks gradients on CUDA against the CPU, trains ShakeNet and a network of another kind, and measures the
// speed of a step.
//   measure.mjs RESULTS      writes RESULTS/shakenet.json as it goes
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeCheckpoint } from "../../dist/artifacts/index.js";
import * as compiler from "../../dist/graph-builder/index.js";
import { ChunkedSession, shapesDataset, TrainingSession, trainBatch } from "../../dist/runtime/index.js";
import { cudaNeeds } from "../../dist/runtime/node/cuda/next-step.js";
import {
  cudaState,
  installedRuntime,
  librariesFolders,
  linkLibraries,
} from "../../dist/runtime/node/cuda/provider.js";
import { openDevice } from "../../dist/runtime/node/index.js";
import { buildTrainingArtifacts, shakeCoefficients } from "../../dist/shakenet/index.js";

const [results = ".", part] = process.argv.slice(2);
const target = process.env.DEVICE ?? "cuda";
const isTrial = target !== "cuda";

function shakeNet(depth, width) {
  const { mean, std } = shapesDataset("train", 1);
  const recipe = { optimizer: "sgd-nesterov", momentum: 0.9, weightDecay: 1e-4, seed: 1 };
  return buildTrainingArtifacts({ depth, width, classes: 10, mean, std, target: "ort-training", ...recipe });
}

/** Random feeds of some steps. */
function randomFeeds({ ort }, steps, batch, blocks) {
  const random = new compiler.RandomStream(1, "gpu");
  const { Tensor } = ort;
  const images = new Uint8Array(steps * batch * 3072);
  for (let i = 0; i < images.length; i++) images[i] = (i * 2654435761) >>> 24;
  const labels = BigInt64Array.from({ length: steps * batch }, (_, i) =>
    BigInt(Math.floor(random.uniform(i) * 10)),
  );
  const weights = (at) =>
    Float32Array.from({ length: steps * blocks * batch }, (_, i) => random.uniform(at + i));
  return {
    images: new Tensor("uint8", images, [steps, batch, 3, 32, 32]),
    labels: new Tensor("int64", labels, [steps, batch]),
    ...(blocks > 0 && {
      alpha: new Tensor("float32", weights(1e8), [steps, blocks, batch]),
      beta: new Tensor("float32", weights(2e8), [steps, blocks, batch]),
    }),
  };
}

/**
 * A network that is no ShakeNet: biases, a grouped and a strided convolution, pooling, GELU, layer
 * normalisation, AdamW.
 */
function foreignArtifacts() {
  const g = compiler.createBuilder(new compiler.Graph("training"));
  const images = g.input("images", "uint8", ["batch", 3, 32, 32]);
  const labels = g.input("labels", "int64", ["batch"]);
  const random = new compiler.RandomStream(3, "foreign");
  const tensors = new Map();
  const parameters = [];
  let drawn = 0;
  const parameter = (name, dims, valueAt) => {
    const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, valueAt);
    tensors.set(name, new compiler.Tensor("float", dims, data));
    parameters.push(g.input(name, "float", dims));
    return parameters.at(-1);
  };
  const weights = (name, dims) => {
    const scale = Math.sqrt(2 / dims.slice(1).reduce((a, b) => a * b, 1));
    return parameter(name, dims, () => random.normal(drawn++) * scale);
  };
  const conv = (name, X, filters, channels, attributes) =>
    g.Conv(
      X,
      weights(`${name}.weight`, [filters, channels, 3, 3]),
      parameter(`${name}.bias`, [filters], () => 0),
      {
        kernel_shape: [3, 3],
        pads: [1, 1, 1, 1],
        ...attributes,
      },
    );
  const pixels = g.Div(
    g.Sub(g.Cast(images, { to: compiler.dataTypeNumbers.float }), g.float(128)),
    g.float(64),
  );
  const first = g.Relu(conv("first", pixels, 32, 3, {}));
  const grouped = g.Gelu(conv("grouped", first, 64, 8, { group: 4 }));
  const pooled = g.MaxPool(grouped, { kernel_shape: [2, 2], strides: [2, 2] })[0];
  const strided = g.Relu(conv("strided", pooled, 64, 64, { strides: [2, 2] }));
  const features = g.Flatten(g.GlobalAveragePool(strided));
  const ones = parameter("norm.weight", [64], () => 1);
  const normal = g.LayerNormalization(
    features,
    ones,
    parameter("norm.bias", [64], () => 0),
    { axis: 1 },
  )[0];
  const logits = g.Gemm(
    normal,
    weights("head.weight", [10, 64]),
    parameter("head.bias", [10], () => 0),
    { transB: 1 },
  );
  const loss = g.output(g.SoftmaxCrossEntropyLoss(logits, labels)[0], "loss");
  const bindings = compiler.accumulateGradients(g, parameters, compiler.appendGradients(g, loss, parameters));
  const shapes = [...tensors].map(([name, { dims }]) => ({ name, shape: dims }));
  const rule = {
    kind: "adamw",
    alpha: 0.9,
    beta: 0.999,
    epsilon: 1e-8,
    weightDecay: 0.01,
    correctBias: true,
    mode: 0,
  };
  return {
    checkpoint: encodeCheckpoint({ trainable: tensors, frozen: new Map(), properties: new Map() }),
    trainingModel: compiler.encodeModel(compiler.bindModel({ graph: g.graph, bindings })),
    optimizerModel: compiler.encodeModel(compiler.bindModel(compiler.optimizerGraph(shapes, rule))),
  };
}

/** All gradients of a batch, in the order of the parameters. */
async function gradients(artifacts, name, blocks) {
  const device = await openDevice(name);
  const session = await TrainingSession.create(artifacts, device);
  const feeds = Object.entries(randomFeeds(device, 1, 64, blocks)).map(([key, { type, data, dims }]) => [
    key,
    new device.ort.Tensor(type, data, dims.slice(1)),
  ]);
  const { loss } = await session.runTrainStep(Object.fromEntries(feeds));
  const values = [];
  for (const parameter of session.parameterNames()) {
    values.push(...(await session.getGradient(parameter)).data);
  }
  await session.release();
  return { loss: Number(loss.data[0]), values };
}

/** The first momentum of a chunk of one step, which is the gradient and the weight decay. */
async function fusedGradients(artifacts, name, precision) {
  const device = await openDevice(name);
  const session = await ChunkedSession.create(artifacts, device, { precision });
  const { loss } = await session.runSteps(randomFeeds(device, 1, 64, 3), Float32Array.of(0.1));
  const { optimizer } = await session.checkpoint();
  const values = [...optimizer.momenta.values()].flatMap(([momentum]) => Array.from(momentum.data));
  await session.release();
  return { loss: Number(loss.data[0]), values };
}

/** The difference from the CPU's, relative to its norm. */
function difference(reference, other) {
  let [squares, whole] = [0, 0];
  for (const [i, value] of reference.values.entries()) {
    squares += (value - other.values[i]) ** 2;
    whole += value ** 2;
  }
  return { loss: [reference.loss, other.loss], "relative difference": Math.sqrt(squares / whole) };
}

/** What a function returns, or the reason for which the device refuses it. */
async function orRefusal(measure) {
  return measure().catch((error) => ({ refused: error.message }));
}

async function compareGradients() {
  const small = shakeNet(8, 16);
  const foreign = foreignArtifacts();
  return {
    "ShakeNet 8 2x16d, one step a call": difference(
      await gradients(small, "cpu", 3),
      await gradients(small, target, 3),
    ),
    "ShakeNet 8 2x16d, fused": difference(
      await fusedGradients(small, "cpu", "float32"),
      await fusedGradients(small, target, "float32"),
    ),
    "ShakeNet 8 2x16d, fused, mixed": difference(
      await fusedGradients(small, "cpu", "float32"),
      await fusedGradients(small, target, "mixed"),
    ),
    ...(!isTrial && {
      "ShakeNet 8 2x16d, fused, bfloat16": await orRefusal(async () =>
        difference(
          await fusedGradients(small, "cpu", "float32"),
          await fusedGradients(small, target, "bfloat16"),
        ),
      ),
    }),
    "another network": difference(await gradients(foreign, "cpu", 0), await gradients(foreign, target, 0)),
  };
}

/** Trains on drawn shapes, ten steps a call: the loss at first and at last. */
async function trainOn(artifacts, blocks, precision, rate) {
  const device = await openDevice(target);
  const { Tensor } = device.ort;
  const batch = isTrial ? 8 : 128;
  const [calls, size] = isTrial ? [3, 4] : [30, 10];
  const data = shapesDataset("train", batch * 20);
  const session = await ChunkedSession.create(artifacts, device, { precision });
  const losses = [];
  for (let call = 0; call < calls; call++) {
    const steps = Array.from({ length: size }, (_, i) => call * size + i);
    const batches = steps.map((step) => trainBatch(data, { seed: 1, batchSize: batch }, step));
    const images = new Uint8Array(size * batch * 3072);
    const labels = new BigInt64Array(size * batch);
    for (const [i, one] of batches.entries()) {
      images.set(one.images, i * batch * 3072);
      labels.set(one.labels, i * batch);
    }
    const options = { forward: "shake", backward: "shake", level: "image", seed: 1, blocks, batch };
    const noise = steps.map((step) => shakeCoefficients(options, step));
    const joined = (key) => Float32Array.from(noise.flatMap((one) => Array.from(one[key])));
    const { loss } = await session.runSteps(
      {
        images: new Tensor("uint8", images, [size, batch, 3, 32, 32]),
        labels: new Tensor("int64", labels, [size, batch]),
        ...(blocks > 0 && {
          alpha: new Tensor("float32", joined("alpha"), [size, blocks, batch]),
          beta: new Tensor("float32", joined("beta"), [size, blocks, batch]),
        }),
      },
      new Float32Array(size).fill(rate),
    );
    losses.push(...loss.data);
  }
  const { lossScale } = session;
  await session.release();
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    steps: losses.length,
    "loss of the first 10 steps": mean(losses.slice(0, 10)),
    "of the last 10": mean(losses.slice(-10)),
    lossScale,
  };
}

const forms = { float32: "float32 (TF32)", mixed: "mixed precision", bfloat16: "bfloat16" };

/** Milliseconds a step of 26 2x32d, one number a call. */
async function stepTimes(batch, precision, steps, calls) {
  const device = await openDevice(target);
  const artifacts = isTrial ? shakeNet(8, 2) : shakeNet(26, 32);
  const opened = performance.now();
  const session = await ChunkedSession.create(artifacts, device, { precision });
  const start = performance.now() - opened;
  const feeds = randomFeeds(device, steps, batch, artifacts.manifest.blocks);
  const rates = new Float32Array(steps).fill(0.01);
  const times = [];
  for (let call = 0; call < calls + 2; call++) {
    const before = performance.now();
    await session.runSteps(feeds, rates);
    times.push((performance.now() - before) / steps);
  }
  await session.release();
  const rounded = times.slice(2).map((time) => Number(time.toFixed(2)));
  const median = rounded.toSorted((a, b) => a - b)[Math.floor(calls / 2)];
  return {
    form: `${forms[precision]}, ${steps} steps a call`,
    batch,
    ms: rounded,
    "images/s": Math.round((1000 * batch) / median),
    "session start ms": Math.round(start),
    "first call ms a step": Number(times[0].toFixed(1)),
  };
}

if (part === "gradients") {
  process.stdout.write(JSON.stringify(await compareGradients()));
} else {
  const found = {
    node: process.versions.node,
    processor: `${cpus()[0]?.model.trim()}, ${cpus().length} cores`,
  };
  const save = (key, value) => {
    found[key] = value;
    console.log(key, JSON.stringify(value));
    writeFileSync(join(results, "shakenet.json"), JSON.stringify(found, null, 1));
  };
  const runtime = installedRuntime();
  if (!isTrial) {
    const linked = await linkLibraries(librariesFolders(await cudaState(runtime)), runtime);
    const query = ["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"];
    save("gpu", execFileSync("nvidia-smi", query, { encoding: "utf8" }).trim());
    save("libraries linked", linked);
  }
  save("onnxruntime", runtime.version);
  save("cuda", cudaNeeds(await cudaState(runtime), "npx shake"));
  // cuBLAS and cuDNN read this when they are loaded
  const gradientsWith = (override) =>
    JSON.parse(
      execFileSync(process.execPath, [fileURLToPath(import.meta.url), results, "gradients"], {
        encoding: "utf8",
        env: { ...process.env, ...(override === undefined ? {} : { NVIDIA_TF32_OVERRIDE: override }) },
      }),
    );
  save("gradients against the CPU, without TF32", gradientsWith("0"));
  save("gradients against the CPU, with TF32", gradientsWith(undefined));
  const speed = [];
  const [small, large] = isTrial ? [2, 4] : [128, 512];
  for (const [batch, precision, steps] of [
    [large, "mixed", 8],
    [small, "mixed", 8],
    [large, "float32", 8],
    [small, "float32", 8],
    [small, "mixed", 1],
    ...(isTrial ? [] : [large, small].map((batch) => [batch, "bfloat16", 8])),
  ]) {
    const measure = () => stepTimes(batch, precision, steps, isTrial ? 1 : 5);
    speed.push(await (precision === "bfloat16" ? orRefusal(measure) : measure()));
    save("speed of 26 2x32d", speed);
  }
  save("training of ShakeNet 8 2x16d, mixed", await trainOn(shakeNet(8, 16), 3, "mixed", 0.05));
  save("training of ShakeNet 8 2x16d, float32", await trainOn(shakeNet(8, 16), 3, "float32", 0.05));
  save("training of another network, AdamW, mixed", await trainOn(foreignArtifacts(), 0, "mixed", 0.002));
  if (!isTrial) {
    const training = await orRefusal(() => trainOn(shakeNet(8, 16), 3, "bfloat16", 0.05));
    save("training of ShakeNet 8 2x16d, bfloat16", training);
  }
}
