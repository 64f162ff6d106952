// A task of your own: a small network learns to multiply two numbers.
// npm run build && node dist/examples/regression-task.js
import { fileURLToPath } from "node:url";
import { encodeCheckpoint, initialCheckpoint, type ParameterSpec } from "shakenet/artifacts";
import {
  appendGradients,
  at,
  bindModel,
  createBuilder,
  encodeModel,
  Graph,
  optimizerGraph,
  RandomStream,
  returnGradients,
  type Value,
} from "shakenet/graph-builder";
import { openDevice } from "shakenet/node";
import { cosine, type Device, freezeModel, type Task, TrainingSession, train } from "shakenet/runtime";

const g = createBuilder(new Graph("training"));
const parameters: { readonly spec: ParameterSpec; readonly value: Value }[] = [];

function parameter(name: string, shape: readonly number[], initialization: ParameterSpec["initialization"]) {
  const value = g.input(name, "float", shape);
  parameters.push({ spec: { name, shape, initialization, kind: "parameter" }, value });
  return value;
}

function dense(name: string, x: Value, inputs: number, outputs: number): Value {
  const weight = parameter(`${name}.weight`, [outputs, inputs], "uniform-fan-in");
  return g.Gemm(x, weight, parameter(`${name}.bias`, [outputs], "zeros"), { transB: 1 });
}

// the training model: its inputs are x and target; its outputs are the mean squared error and the gradients
const hidden = g.Tanh(dense("hidden", g.input("x", "float", ["batch", 2]), 2, 32));
const error = g.Sub(dense("output", hidden, 32, 1), g.input("target", "float", ["batch", 1]));
const loss = g.output(g.ReduceMean(g.Mul(error, error), { keepdims: 0 }), "loss");
const values = parameters.map(({ value }) => value);
const bindings = returnGradients(g, values, appendGradients(g, loss, values));
const trainingModel = bindModel({ graph: g.graph, bindings });

/** The files that a training session opens. */
export function regressionArtifacts() {
  const specs = parameters.map(({ spec }) => spec);
  const optimizer = optimizerGraph(specs, { kind: "sgd-nesterov", momentum: 0.9, weightDecay: 0 });
  return {
    checkpoint: encodeCheckpoint(initialCheckpoint(specs, { seed: 1, moments: 1, fused: false })),
    trainingModel: encodeModel(trainingModel),
    optimizerModel: encodeModel(bindModel(optimizer)),
  };
}

/** `count` pairs of numbers between -1 and 1, and their products. `first` is the index of the first pair. */
function products({ ort }: Device, stream: string, first: number, count: number) {
  const random = new RandomStream(1, stream);
  const x = Float32Array.from({ length: 2 * count }, (_, i) => 2 * random.uniform(2 * first + i) - 1);
  const target = Float32Array.from({ length: count }, (_, i) => at(x, 2 * i) * at(x, 2 * i + 1));
  return {
    x: new ort.Tensor("float32", x, [count, 2]),
    target: new ort.Tensor("float32", target, [count, 1]),
  };
}

/**
 * The task: an epoch has 50 steps of 64 pairs. A checkpoint is evaluated on 256 other pairs, with the loss
 * of the training model.
 */
export function regressionTask(device: Device): Task<"loss", "loss", "pairs"> {
  return {
    unit: "pairs",
    stepsPerEpoch: 50,
    metrics: { loss: { output: "loss", over: "mean", scale: 1 } },
    best: { metric: "loss", higherIsBetter: false, worst: Number.MAX_VALUE },
    feeds: (step) => ({ feeds: products(device, "train", 64 * step, 64), examples: 64 }),
    async *evaluate(checkpoint) {
      const model = freezeModel(trainingModel, checkpoint, ["loss"]);
      const session = await device.ort.InferenceSession.create(model, device.sessionOptions);
      const results = await session.run(products(device, "test", 0, 256));
      await session.release();
      yield { done: 256, of: 256 };
      return { loss: Number(results["loss"]?.data[0]) };
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const device = await openDevice("cpu", { threads: 1 });
  const session = await TrainingSession.create(regressionArtifacts(), device);
  const store = { save: async () => {} };
  const settings = { epochs: 20, learningRate: cosine(0.05), checkpointEverySteps: 50, store };
  for await (const event of train(session, regressionTask(device), settings)) {
    if (event.type === "epoch") console.log(event.record.epoch, event.record.test_loss.toFixed(5));
  }
  await session.release();
}
