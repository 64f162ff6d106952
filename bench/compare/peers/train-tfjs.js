// trains with TensorFlow.js on WebAssembly: train-tfjs.js FOLDER
import * as tf from "@tensorflow/tfjs";
import { getThreadsCount, setThreadsCount } from "@tensorflow/tfjs-backend-wasm";
import { ownPeak, readWorkload, serve } from "../../../dist/bench/compare/peers/protocol.js";
import { timeSteps } from "../../../dist/bench/compare/peers/steps.js";

const setup = readWorkload(process.argv[2]);
setThreadsCount(setup.threads);
if (!(await tf.setBackend("wasm")))
  throw new Error("TensorFlow.js cannot start its WebAssembly backend here");

/**
 * The gradient of a convolution's filter, which this backend lacks. x is shifted by every position of the
 * filter; all shifts times dy are one matrix product.
 */
function conv2dBackpropFilter({ inputs: { x, dy }, attrs: { strides, pad, filterShape } }) {
  const [height, width, inputs, outputs] = filterShape;
  const [batch, rows, columns] = dy.shape;
  const padded = tf.pad(x, [
    [0, 0],
    [pad, pad],
    [pad, pad],
    [0, 0],
  ]);
  const [stride] = [strides].flat();
  const shifts = Array.from({ length: height * width }, (_, i) => {
    const [top, left] = [Math.floor(i / width), i % width];
    const end = [batch, top + stride * (rows - 1) + 1, left + stride * (columns - 1) + 1, inputs];
    return tf.stridedSlice(padded, [0, top, left, 0], end, [1, stride, stride, 1]);
  });
  const shifted = tf.concat(shifts, 3).reshape([-1, height * width * inputs]);
  const product = tf.matMul(shifted.transpose(), dy.reshape([-1, outputs]));
  return product.reshape(filterShape);
}

tf.registerKernel({
  kernelName: "Conv2DBackpropFilter",
  backendName: "wasm",
  kernelFunc: conv2dBackpropFilter,
});

// TensorFlow's layouts: NHWC for images, HWIO for filters
const { images, labels, alpha, beta, ...weights } = Object.fromEntries(
  Object.entries(setup.arrays).map(([name, { dims, data }]) => [name, tf.tensor(data, dims)]),
);
const variables = Object.fromEntries(
  Object.entries(weights).map(([name, tensor]) => {
    const values = tensor.rank === 4 ? tensor.transpose([2, 3, 1, 0]) : tensor;
    return [name, tf.variable(values, !name.includes(".running_"), name)];
  }),
);
const pixels = images.transpose([0, 2, 3, 1]).sub(setup.mean).div(setup.std);
const targets = tf.oneHot(labels.toInt(), 10);
// for each block the coefficients [batch, 1, 1, 1]
const mixes = [alpha, beta].map((coefficients) =>
  tf.unstack(coefficients).map((row) => row.reshape([-1, 1, 1, 1])),
);

const shake = (alpha, beta) =>
  tf.customGrad((branch1, branch2) => ({
    value: branch1.mul(alpha).add(branch2.mul(tf.sub(1, alpha))),
    gradFunc: (grad) => [grad.mul(beta), grad.mul(tf.sub(1, beta))],
  }));

function conv(name, x, stride = 1) {
  const weight = variables[`${name}.weight`];
  const pad = Math.floor(weight.shape[0] / 2);
  return tf.conv2d(x, weight, stride, pad, "NHWC", 1, "floor");
}

function batchNorm(name, x) {
  const { mean, variance } = tf.moments(x, [0, 1, 2]);
  const [scale, offset] = [variables[`${name}.weight`], variables[`${name}.bias`]];
  variables[`${name}.running_mean`].assign(variables[`${name}.running_mean`].mul(0.9).add(mean.mul(0.1)));
  variables[`${name}.running_var`].assign(variables[`${name}.running_var`].mul(0.9).add(variance.mul(0.1)));
  return tf.batchNorm(x, mean, variance, offset, scale, 1e-5);
}

function branch(path, x, stride) {
  const first = tf.relu(batchNorm(`${path}.bn1`, conv(`${path}.conv1`, x, stride)));
  return batchNorm(`${path}.bn2`, conv(`${path}.conv2`, first));
}

function shortcut(path, x, stride) {
  const [batch, height, width, channels] = x.shape;
  const shifted = tf
    .pad(x, [
      [0, 0],
      [1, 0],
      [1, 0],
      [0, 0],
    ])
    .slice([0, 0, 0, 0], [batch, height, width, channels]);
  const paths = [conv(`${path}.conv1`, x, stride), conv(`${path}.conv2`, shifted, stride)];
  return batchNorm(`${path}.bn`, tf.concat(paths, 3));
}

function loss() {
  let x = batchNorm("stem.bn", conv("stem.conv", pixels));
  let block = 0;
  for (let stage = 0; stage < 3; stage++) {
    for (let i = 0; i < (setup.depth - 2) / 6; i++, block++) {
      const path = `stage${stage + 1}.block${i}`;
      const stride = stage > 0 && i === 0 ? 2 : 1;
      const activated = tf.relu(x);
      const branches = [1, 2].map((b) => branch(`${path}.branch${b}`, activated, stride));
      const mixed = shake(mixes[0][block], mixes[1][block])(...branches);
      const isSame = x.shape[3] === mixed.shape[3];
      x = (isSame ? x : shortcut(`${path}.shortcut`, activated, stride)).add(mixed);
    }
  }
  const features = tf.relu(x).mean([1, 2]);
  const logits = tf.matMul(features, variables["fc.weight"], false, true).add(variables["fc.bias"]);
  return tf.losses.softmaxCrossEntropy(targets, logits).asScalar();
}

const optimizer = tf.train.momentum(setup.learningRate, setup.momentum, true);
const parameters = Object.values(variables).filter(({ trainable }) => trainable);

async function step() {
  const value = tf.tidy(() => {
    const { value, grads } = tf.variableGrads(loss, parameters);
    const decayed = Object.entries(grads).map(([name, grad]) => [
      name,
      grad.add(variables[name].mul(setup.weightDecay)),
    ]);
    optimizer.applyGradients(Object.fromEntries(decayed));
    return value;
  });
  const [result] = await value.data();
  value.dispose();
  return result;
}

// in Node this backend has one thread, whatever setThreadsCount asks for
await serve(`tfjs ${tf.version.tfjs}, threads ${getThreadsCount()}`, async (steps) => ({
  ...(await timeSteps(steps, step)),
  peak_rss_mb: ownPeak(),
}));
