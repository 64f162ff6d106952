import { Tensor } from "onnxruntime-common";
import { expect, test } from "vitest";
import { encodeCheckpoint } from "../../../artifacts/index.ts";
import {
  accumulateGradients,
  appendGradients,
  type BoundGraph,
  bindModel,
  createBuilder,
  createModel,
  encodeModel,
  explicitBindings,
  floats,
  Graph,
  loweringOf,
  type OptimizerRule,
  optimizerGraph,
  returnGradients,
  runPasses,
  stockOptimizerGraph,
  trainingPasses,
  updateInPlace,
} from "../../../graph-builder/index.ts";
import { ChunkedSession, TrainingSession, type TrainingSources } from "../../../runtime/index.ts";
import { openDevice } from "../../../runtime/node/index.ts";
import { checkFeeds } from "../../../runtime/session/feeds.ts";

const forms = ["accumulating", "returning", "fused", "fused standard", "without bindings"] as const;
type Form = (typeof forms)[number];

/** The names of two parameters, of the data, and of an output. */
interface Names {
  readonly first: string;
  readonly second: string;
  readonly data: string;
  readonly output: string;
}

const plain: Names = { first: "p", second: "q", data: "x", output: "y" };
const initial = { first: [0.5, -0.25, 0.125, 1], second: [0.1, -0.2, 0.3, 0.7] };

const nesterov: OptimizerRule = { kind: "sgd-nesterov", momentum: 0.9, weightDecay: 1e-3 };

/**
 * The loss is the mean of y^2, y = (x first) * (x second): each parameter's gradient depends on the other.
 */
function trainingGraph(names: Names, form: Form): BoundGraph {
  const g = createBuilder(new Graph("training"));
  const x = g.input(names.data, "float", ["batch", 2]);
  const parameters = [names.first, names.second].map((name) => g.input(name, "float", [2, 2]));
  const [first, second] = parameters;
  if (!first || !second) throw new Error("there are two parameters");
  const y = g.output(g.Mul(g.MatMul(x, first), g.MatMul(x, second)), names.output);
  const loss = g.output(g.ReduceMean(g.Mul(y, y), { keepdims: 0 }), "loss");
  const gradients = appendGradients(g, loss, parameters);
  const append = () => {
    if (form.startsWith("fused")) return updateInPlace(g, parameters, gradients, nesterov);
    return (form === "returning" ? returnGradients : accumulateGradients)(g, parameters, gradients);
  };
  const bound = { graph: g.graph, bindings: append() };
  if (form !== "fused standard") return bound;
  return {
    graph: runPasses(bound.graph, trainingPasses(loweringOf("portable"))),
    bindings: explicitBindings(bound),
  };
}

function artifacts(names: Names, form: Form): TrainingSources<Uint8Array> {
  const tensors = (["first", "second"] as const).map(
    (key) => [names[key], floats(initial[key], [2, 2])] as const,
  );
  const training = trainingGraph(names, form);
  const moments = training.bindings.flatMap((binding) =>
    binding.role === "moment" ? [[binding.input, floats([0, 0, 0, 0], [2, 2])] as const] : [],
  );
  const isFused = form.startsWith("fused");
  const checkpoint = encodeCheckpoint({
    trainable: new Map(isFused ? [] : tensors),
    frozen: new Map(isFused ? [...tensors, ...moments] : []),
    properties: new Map(),
  });
  const parameters = tensors.map(([name]) => ({ name, shape: [2, 2] }));
  if (form === "without bindings") {
    return {
      checkpoint,
      trainingModel: encodeModel(createModel(training.graph)),
      optimizerModel: encodeModel(createModel(stockOptimizerGraph({ kind: "sgd" }))),
    };
  }
  return {
    checkpoint,
    trainingModel: encodeModel(bindModel(training)),
    ...(isFused
      ? {}
      : {
          optimizerModel: encodeModel(bindModel(optimizerGraph(parameters, { ...nesterov, maxNorm: 0.5 }))),
        }),
  };
}

function dataOf(step: number): Tensor {
  const data = Float32Array.from({ length: 6 }, (_, i) => Math.sin(10 * step + i));
  return new Tensor("float32", data, [3, 2]);
}

/** The losses, the outputs and the parameters of five steps. */
async function train(names: Names, form: Form): Promise<unknown> {
  const session = await TrainingSession.create(
    artifacts(names, form),
    await openDevice("cpu", { threads: 1 }),
  );
  expect(session.trainingInputNames).toEqual([names.data]);
  expect(session.trainingOutputNames).toEqual([names.output, "loss"]);
  session.learningRate = 0.1;
  const seen: unknown[] = [];
  for (let step = 0; step < 5; step++) {
    session.lazyResetGrad();
    const results = await session.runTrainStep({ [names.data]: dataOf(step) });
    await session.runOptimizerStep();
    seen.push(results["loss"]?.data, results[names.output]?.data);
  }
  for (const name of [names.first, names.second]) seen.push((await session.getParameter(name)).data);
  const { optimizer, frozen } = await session.checkpoint();
  for (const name of [names.first, names.second])
    seen.push(optimizer?.momenta.get(name)?.map(({ data }) => data));
  // in the order of their names, which are others
  seen.push([...frozen.values()].map(({ data }) => data.join()).sort());
  await session.release();
  return seen;
}

/** The losses, the outputs and the state of five steps of a fused model in two calls. */
async function trainInCalls(names: Names): Promise<unknown> {
  const device = await openDevice("cpu", { threads: 1 });
  const session = await ChunkedSession.create(artifacts(names, "fused"), device);
  expect(session.inputNames).toEqual([names.data]);
  const seen: unknown[] = [];
  for (const steps of [
    [0, 1, 2],
    [3, 4],
  ]) {
    const feeds = session.stack(steps.map((step) => ({ [names.data]: dataOf(step) })));
    const results = await session.runSteps(feeds, new Float32Array(steps.length).fill(0.1));
    seen.push(Object.keys(results).length, results["loss"]?.data, results[names.output]?.data);
  }
  const { frozen } = await session.checkpoint();
  seen.push([...frozen.values()].map(({ data }) => data.join()).sort());
  await session.release();
  return seen;
}

const confusing: readonly Names[] = [
  { ...plain, first: "w", second: "w_next" },
  { ...plain, first: "a", second: "a_grad" },
  { ...plain, first: "w.momentum", second: "w" },
  { ...plain, first: "v", second: "v_grad.accumulation.buffer" },
  { ...plain, output: "p_grad" },
  { ...plain, output: "p_next" },
  { ...plain, data: "learning_rate", output: "updated" },
  { ...plain, data: "lazy_reset_grad" },
  { first: "constructor", second: "toString", data: "hasOwnProperty", output: "valueOf" },
];

test("a tensor called __proto__ is refused by the model that has it", async () => {
  await expect(train({ ...plain, output: "__proto__" }, "returning")).rejects.toThrow(
    "training_model.onnx has a tensor called __proto__, which ONNX Runtime cannot pass in JavaScript: rename it.",
  );
});

test("an input called as what every object has is missing where it is not fed", () => {
  const inputs = [{ name: "constructor", type: undefined }];
  expect(() => checkFeeds(inputs, {})).toThrow("The input constructor is missing.");
});

test.each(
  forms
    .filter((form) => form !== "without bindings")
    .flatMap((form) => confusing.map((names) => ({ form, names }))),
)(
  "$form: a model of parameters $names.first and $names.second, data $names.data and output $names.output trains as one of plain names",
  async ({ form, names }) => {
    expect(await train(names, form)).toEqual(await train(plain, form));
  },
);

test.each(
  confusing.filter(
    ({ second, data }) =>
      second !== "v_grad.accumulation.buffer" && !data.endsWith("_grad") && data !== "learning_rate",
  ),
)(
  "artifacts in ONNX Runtime's layout that say no bindings: parameters $first and $second, output $output",
  async (names) => {
    expect(await train(names, "without bindings")).toEqual(await train(plain, "without bindings"));
  },
);

test.each(confusing)(
  "several steps a call: a model of parameters $first and $second, data $data and output $output trains as one of plain names",
  async (names) => {
    expect(await trainInCalls(names)).toEqual(await trainInCalls(plain));
  },
);
