// A straight-through estimator as a function of one's own: it trains weights that are rounded to quarters.
// npm run build && node dist/examples/custom-function.js
import { encodeCheckpoint, initialCheckpoint } from "shakenet/artifacts";
import {
  appendGradients,
  bindModel,
  createBuilder,
  defineFunction,
  encodeModel,
  Graph,
  optimizerGraph,
  printModel,
  RandomStream,
  returnGradients,
  tensorType,
} from "shakenet/graph-builder";
import { openDevice } from "shakenet/node";
import { TrainingSession } from "shakenet/runtime";

// rounding has the gradient 0; this function has the gradient of the identity, for inputs of any shape
// ("...")
const anyShape = tensorType("float", ["..."]);
const roundThrough = defineFunction({
  domain: "com.example",
  name: "RoundThrough",
  inputs: [["x", anyShape]],
  outputs: [["y", anyShape]],
  body: (g, [x]) => [g.Mul(g.Round(g.Mul(x, g.float(4))), g.float(0.25))],
  gradient: (_, { dY }) => [dY],
});

// y = x w, and w is rounded on the way forward
const g = createBuilder(new Graph("training"));
const [x, target] = [g.input("x", "float", ["batch", 3]), g.input("target", "float", ["batch", 1])];
const w = g.input("w", "float", [3, 1]);
const error = g.Sub(g.MatMul(x, g.call(roundThrough, [w])), target);
const loss = g.output(g.ReduceMean(g.Mul(error, error), { keepdims: 0 }), "loss");
const bindings = returnGradients(g, [w], appendGradients(g, loss, [w]));
const model = bindModel({ graph: g.graph, bindings });
console.log(printModel(model));

const parameters = [{ name: "w", shape: [3, 1], initialization: "zeros", kind: "parameter" }] as const;
const optimizer = optimizerGraph(parameters, { kind: "sgd-nesterov", momentum: 0, weightDecay: 0 });
const device = await openDevice("cpu", { threads: 1 });
const artifacts = {
  checkpoint: encodeCheckpoint(initialCheckpoint(parameters, { seed: 1, moments: 1, fused: false })),
  trainingModel: encodeModel(model),
  optimizerModel: encodeModel(bindModel(optimizer)),
};
const session = await TrainingSession.create(artifacts, device);
session.learningRate = 0.02;
for (let step = 0; step < 60; step++) {
  const data = new Float32Array(3 * 16);
  new RandomStream(1, "x").fillNormal(data, step * data.length);
  const dot = (i: number) => 0.75 * (data[i] ?? 0) - 0.5 * (data[i + 1] ?? 0) + 0.25 * (data[i + 2] ?? 0);
  const targets = Float32Array.from({ length: 16 }, (_, i) => dot(3 * i));
  const { Tensor } = device.ort;
  const feeds = { x: new Tensor("float32", data, [16, 3]), target: new Tensor("float32", targets, [16, 1]) };
  session.lazyResetGrad();
  const results = await session.runTrainStep(feeds);
  await session.runOptimizerStep();
  if (step % 10 === 0) console.log(step, Number(results["loss"]?.data[0]).toFixed(5));
}
await session.release();
