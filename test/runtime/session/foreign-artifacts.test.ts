import { InferenceSession, Tensor } from "onnxruntime-node";
import { expect, test } from "vitest";
import { decodeCheckpoint } from "../../../artifacts/index.ts";
import { RandomStream, UserError } from "../../../graph-builder/index.ts";
import { type NamedTensors, TrainingSession } from "../../../runtime/index.ts";
import { openDevice } from "../../../runtime/node/index.ts";
import {
  initial,
  type LinearOptimizer,
  LinearReference,
  linearArtifacts,
} from "../../support/linear-artifacts.ts";

const rows = 4;

function batch(step: number): { input: number[]; target: number[]; feeds: NamedTensors } {
  const random = new RandomStream(3, `batch ${step}`);
  const input = Array.from({ length: 3 * rows }, (_, i) => Math.fround(random.normal(i)));
  const target = Array.from({ length: 2 * rows }, (_, i) => Math.fround(random.normal(100 + i)));
  const feeds = {
    input: new Tensor("float32", Float32Array.from(input), [rows, 3]),
    target: new Tensor("float32", Float32Array.from(target), [rows, 2]),
  };
  return { input, target, feeds };
}

async function open(optimizer: LinearOptimizer = "sgd", maxNorm?: number): Promise<TrainingSession> {
  return TrainingSession.create(linearArtifacts(optimizer, maxNorm), await openDevice("cpu", { threads: 1 }));
}

const numbers = (tensor: Tensor | undefined) => Array.from(tensor?.data as Float32Array);

function expectClose(actual: readonly number[], expected: readonly number[], tolerance = 1e-5): void {
  expect(actual).toHaveLength(expected.length);
  const worst = Math.max(...actual.map((value, i) => Math.abs(value - (expected[i] ?? Number.NaN))));
  expect(worst).toBeLessThan(tolerance);
}

async function trainedParameters(session: TrainingSession): Promise<number[]> {
  return numbers((await session.getContiguousParameters()) as Tensor);
}

test.each<[LinearOptimizer, number, number | undefined]>([
  ["sgd", 0.1, undefined],
  ["adamw", 0.05, undefined],
  ["sgd", 0.5, 0.2],
  ["adamw", 0.05, 0.2],
])(
  "%s at %d, gradients clipped to %s, follows the definition for ten steps of two batches",
  async (optimizer, rate, maxNorm) => {
    const session = await open(optimizer, maxNorm);
    const reference = new LinearReference();
    session.learningRate = rate;
    for (let step = 0; step < 10; step++) {
      reference.gradients = reference.gradients.map(() => 0);
      session.lazyResetGrad();
      for (const part of [2 * step, 2 * step + 1]) {
        const { input, target, feeds } = batch(part);
        const { "onnx::reducemean_output::5": loss } = await session.runTrainStep(feeds);
        expectClose(numbers(loss as Tensor), [reference.train(input, target)]);
      }
      await session.runOptimizerStep();
      reference.update(optimizer, rate, maxNorm);
      expectClose(await trainedParameters(session), reference.parameters);
    }
    await session.release();
  },
);

test("the names are the user's own: no parameter, gradient, flag or learning rate among them", async () => {
  const session = await open();
  expect(session.trainingInputNames).toEqual(["input", "target"]);
  expect(session.trainingOutputNames).toEqual(["onnx::reducemean_output::5", "output"]);
  expect(session.evalInputNames).toEqual(["input", "target"]);
  expect(session.evalOutputNames).toEqual(["onnx::reducemean_output::5", "output"]);
  expect(session.learningRate).toBe(0.001);
  await session.release();
});

test("feeds go by name, fetches choose outputs, and unknown names are told", async () => {
  const session = await open();
  const { feeds } = batch(0);
  const turned = Object.fromEntries(Object.entries(feeds).reverse());
  const all = await session.runTrainStep(turned);
  session.lazyResetGrad();
  const chosen = await session.runTrainStep(feeds, ["output"]);
  expect(Object.keys(chosen)).toEqual(["output"]);
  expect(numbers(chosen.output as Tensor)).toEqual(numbers(all.output as Tensor));
  expect(Object.keys(await session.runEvalStep(feeds, ["output"]))).toEqual(["output"]);
  await expect(session.runTrainStep(feeds, ["logits"])).rejects.toThrow(
    "There is no output logits: there are onnx::reducemean_output::5, output.",
  );
  await expect(session.runTrainStep({ inputs: feeds.input as Tensor })).rejects.toThrow(
    "The input input is missing. Did you mean inputs?",
  );
  await session.release();
});

test("parameters are read and set by name and as one vector, gradients are read by name", async () => {
  const session = await open();
  expect(session.parameterNames()).toEqual(["fc.weight", "fc.bias"]);
  expect(await session.getParametersSize()).toBe(8);
  expect(await trainedParameters(session)).toEqual([...initial.weight, ...initial.bias].map(Math.fround));

  const bias = await session.getParameter("fc.bias");
  (bias.data as Float32Array).fill(9);
  expectClose(numbers((await session.getParameter("fc.bias")) as Tensor), initial.bias);
  session.setParameter("fc.bias", bias);
  expect(numbers((await session.getParameter("fc.bias")) as Tensor)).toEqual([9, 9]);

  const other = Float32Array.from({ length: 8 }, (_, i) => i / 8);
  const { input, target, feeds } = batch(0);
  const loading = session.loadParametersBuffer(new Uint8Array(other.buffer));
  // a step that begins at once has all of them
  await session.runTrainStep(feeds);
  await loading;
  expect(await trainedParameters(session)).toEqual([...other]);
  const reference = new LinearReference();
  reference.parameters.splice(0, 8, ...other);
  reference.train(input, target);
  expectClose(numbers((await session.getGradient("fc.weight")) as Tensor), reference.gradients.slice(0, 6));
  expectClose(numbers((await session.getGradient("fc.bias")) as Tensor), reference.gradients.slice(6));
  await session.release();
});

test("wrong parameters are refused in a sentence", async () => {
  const session = await open();
  await expect(session.getParameter("fc.wieght")).rejects.toThrow(UserError);
  await expect(session.getGradient("steps_seen")).rejects.toThrow(UserError);
  const wide = new Tensor("float32", new Float32Array(3), [3]);
  expect(() => session.setParameter("fc.bias", wide)).toThrow(
    "fc.bias is float32 [2] and cannot take float32 [3]",
  );
  await expect(session.loadParametersBuffer(new Uint8Array(31))).rejects.toThrow(
    "The parameters take 32 bytes, and the buffer has 31",
  );
  await session.release();
});

test.each<LinearOptimizer>(["sgd", "adamw"])(
  "a saved checkpoint of %s goes on as if it had not been cut, with the optimizer's state or without it",
  async (optimizer) => {
    const first = await open(optimizer);
    const step = async (session: TrainingSession, index: number) => {
      session.learningRate = 0.05;
      session.lazyResetGrad();
      await session.runTrainStep(batch(index).feeds);
      await session.runOptimizerStep();
    };
    await step(first, 0);
    await step(first, 1);
    const saved = await first.saveCheckpoint();
    const checkpoint = decodeCheckpoint(saved);
    expect(checkpoint.optimizer?.step).toBe(2);
    expect(checkpoint.optimizer?.momenta.get("fc.bias")).toHaveLength(optimizer === "adamw" ? 2 : 1);
    expect(decodeCheckpoint(await first.saveCheckpoint(false)).optimizer).toBeUndefined();
    const device = await openDevice("cpu", { threads: 1 });
    const sources = { ...linearArtifacts(optimizer), checkpoint: saved };
    const second = await TrainingSession.create(sources, device);
    await step(first, 2);
    await step(second, 2);
    expect(await second.saveCheckpoint()).toEqual(await first.saveCheckpoint());
  },
);

test("the inference model holds the trained parameters and wants only what its outputs need", async () => {
  const session = await open();
  session.learningRate = 0.1;
  const { feeds } = batch(0);
  await session.runTrainStep(feeds);
  await session.runOptimizerStep();
  const bytes = await session.exportInferenceModel(["output"]);
  const inference = await InferenceSession.create(bytes);
  expect(inference.inputNames).toEqual(["input"]);
  const { output } = await inference.run({ input: feeds.input as Tensor });
  expectClose(numbers(output as Tensor), numbers((await session.runEvalStep(feeds)).output as Tensor), 1e-6);
  await expect(session.exportInferenceModel(["logits"])).rejects.toThrow(
    "The model has no value logits. Its outputs are onnx::reducemean_output::5, output.",
  );
  await session.release();
});

test("ONNX Runtime's names for the four files open the same session, and a missing file is named", async () => {
  const { checkpoint, trainingModel, evalModel, optimizerModel } = linearArtifacts("sgd");
  const device = await openDevice("cpu", { threads: 1 });
  const theirs = { checkpointState: checkpoint, trainModel: trainingModel, evalModel, optimizerModel };
  const sessions = [await TrainingSession.create(theirs, device), await open("sgd")];
  for (const session of sessions) {
    await session.runTrainStep(batch(0).feeds);
    await session.runOptimizerStep();
    await session.runEvalStep(batch(1).feeds);
  }
  const [a, b] = await Promise.all(sessions.map((session) => session.saveCheckpoint()));
  expect(a).toEqual(b);
  const bare: object = { trainingModel };
  await expect(TrainingSession.create(bare as typeof theirs, device)).rejects.toMatchObject({
    message: "The artifacts lack checkpoint.",
    code: "source-missing",
    details: { source: "checkpoint" },
  });
});

test("what the graph does not take is refused by the input's name, before ONNX Runtime sees it", async () => {
  const session = await open();
  const { feeds } = batch(0);
  const input = (type: "float32" | "int32", dims: readonly number[]) => {
    const size = dims.reduce((product, dim) => product * dim, 1);
    return new Tensor(type, type === "int32" ? new Int32Array(size) : new Float32Array(size), dims);
  };
  const refused: [Tensor, string, string][] = [
    [input("int32", [rows, 3]), "The input input is int32, and must be float32.", "input-type"],
    [
      input("float32", [rows, 4]),
      "The input input has the shape [4, 4], and must have [batch, 3].",
      "input-shape",
    ],
    [input("float32", [3]), "The input input has the shape [3], and must have [batch, 3].", "input-shape"],
    [input("float32", [0, 3]), "The input input is empty: its shape is [0, 3].", "input-shape"],
    [
      input("float32", [5, 3]),
      "The inputs disagree about batch: it is 5 in input, and 4 in target.",
      "input-shape",
    ],
  ];
  for (const [tensor, message, code] of refused) {
    for (const step of ["runTrainStep", "runEvalStep"] as const) {
      await expect(session[step]({ ...feeds, input: tensor })).rejects.toMatchObject({ message, code });
    }
  }
  await expect(session.runTrainStep({ target: feeds.target as Tensor })).rejects.toMatchObject({
    code: "input-missing",
    details: { input: "input", given: ["target"] },
  });
  expect(numbers((await session.runTrainStep(feeds)).output as Tensor)).toHaveLength(2 * rows);
  await session.release();
});

test("calls that overlap are refused; release waits for the one under way, and ends the session", async () => {
  const session = await open();
  const { feeds } = batch(0);
  const step = session.runTrainStep(feeds);
  await expect(session.runEvalStep(feeds)).rejects.toMatchObject({
    message: "runTrainStep is under way: wait for it before you call runEvalStep.",
    code: "session-busy",
  });
  expect(() => session.lazyResetGrad()).toThrow("runTrainStep is under way");
  const released = session.release();
  expect(await step).toHaveProperty("output");
  await released;
  const over = /^The session was released: \w+ cannot be called any more\.$/;
  await expect(session.release()).rejects.toThrow(over);
  await expect(session.runTrainStep(feeds)).rejects.toThrow(over);
  await expect(session.checkpoint()).rejects.toThrow(over);
  await expect(session.getParameter("fc.bias")).rejects.toThrow(over);
});

test("without an eval or an optimizer model those steps say so", async () => {
  const { checkpoint, trainingModel } = linearArtifacts("sgd");
  const session = await TrainingSession.create({ checkpoint, trainingModel }, await openDevice("cpu"));
  const { feeds } = batch(0);
  await session.runTrainStep(feeds);
  await expect(session.runOptimizerStep()).rejects.toThrow("The session has no optimizer model");
  await expect(session.runEvalStep(feeds)).rejects.toThrow("The session has no eval model");
  await expect(session.exportInferenceModel(["output"])).rejects.toThrow("The session has no eval model");
  expect(session.evalInputNames).toEqual([]);
  await session.release();
});
