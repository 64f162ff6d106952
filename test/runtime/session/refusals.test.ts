import { type InferenceSession, Tensor } from "onnxruntime-common";
import { expect, test } from "vitest";
import { decodeCheckpoint, encodeCheckpoint, generateArtifacts } from "../../../artifacts/index.ts";
import {
  appendGradients,
  bindModel,
  createBuilder,
  encodeModel,
  floats,
  Graph,
  optimizerGraph,
  returnGradients,
} from "../../../graph-builder/index.ts";
import {
  ChunkedSession,
  type NamedTensors,
  TrainingSession,
  type TrainingSources,
  webDevice,
} from "../../../runtime/index.ts";
import { OrtTrainingSession, openDevice, ReplicatedSession } from "../../../runtime/node/index.ts";
import { buildTrainingArtifacts } from "../../../shakenet/index.ts";
import { mlp } from "../../support/artifact-models.ts";
import { linearArtifacts } from "../../support/linear-artifacts.ts";
import { classifierArtifacts } from "../../support/tiny-classifier.ts";
import { tinySettings } from "../../support/tiny-run.ts";

const device = await openDevice("cpu", { threads: 1 });
const worker = new URL("../../../dist/runtime/node/replicas/replica-worker.js", import.meta.url);

/** The feeds of the linear classifier of pictures of 2 x 6 x 10. */
function pictures(labels: readonly number[], dims: readonly number[] = [labels.length]): NamedTensors {
  const leading = dims.length > 1 ? dims : [labels.length];
  return {
    images: new Tensor("uint8", new Uint8Array(120 * labels.length), [...leading, 2, 6, 10]),
    labels: new Tensor("int64", BigInt64Array.from(labels, BigInt), dims),
  };
}

const numbers = { input: new Tensor("float32", new Float32Array(3), [1, 3]) };
const target = new Tensor("float32", new Float32Array(2), [1, 2]);

// --- when a session opens ---

/** The linear model's artifacts with other tensors in the checkpoint. */
function withTensors(change: (trainable: Map<string, ReturnType<typeof floats>>) => void): TrainingSources {
  const artifacts = linearArtifacts("sgd");
  const { trainable, ...rest } = decodeCheckpoint(artifacts.checkpoint);
  change(trainable);
  return { ...artifacts, checkpoint: encodeCheckpoint({ trainable, ...rest }) };
}

const { trainingModel, evalModel, optimizerModel } = linearArtifacts("sgd");

test.each<[string, () => TrainingSources, string, string]>([
  [
    "an eval model in place of the training model",
    () => ({ ...linearArtifacts("sgd"), trainingModel: evalModel }),
    "The training model gives no gradient of fc.bias, a trainable parameter of the checkpoint: is it an eval model, or of another checkpoint?",
    "artifacts-mismatch",
  ],
  [
    "an eval model in place of a fused training model",
    () => {
      const artifacts = buildTrainingArtifacts(tinySettings({ fused: true }));
      return { ...artifacts, trainingModel: artifacts.evalModel };
    },
    "The training model trains nothing: it returns no gradient and updates no parameter.",
    "artifacts-mismatch",
  ],
  [
    "a training model in place of the eval model",
    () => ({ ...linearArtifacts("sgd"), evalModel: trainingModel }),
    "The eval model computes gradients or updates: is it the training model?",
    "artifacts-mismatch",
  ],
  [
    "an eval model of another network",
    () => ({ ...linearArtifacts("sgd"), evalModel: generateArtifacts(mlp(), { loss: "mse" }).evalModel }),
    "The eval model reads no tensor of the checkpoint: is it of another model?",
    "artifacts-mismatch",
  ],
  [
    "an optimizer model beside a fused training model",
    () => ({ ...buildTrainingArtifacts(tinySettings({ fused: true })), optimizerModel }),
    "The training model updates the parameters itself, so it takes no optimizer model: leave that out.",
    "artifacts-mismatch",
  ],
  [
    "an eval model in place of the optimizer model",
    () => ({ ...linearArtifacts("sgd"), optimizerModel: evalModel }),
    "The optimizer model updates no parameter of the checkpoint.",
    "artifacts-mismatch",
  ],
  [
    "a checkpoint without a tensor that the models read",
    () => {
      const artifacts = classifierArtifacts();
      const { trainable, ...rest } = decodeCheckpoint(artifacts.checkpoint);
      trainable.set("fc.biases", floats([0, 0])).delete("fc.bias");
      return { ...artifacts, checkpoint: encodeCheckpoint({ trainable, ...rest }) };
    },
    "The checkpoint has no parameter fc.bias, which the models read. Did you mean fc.biases?",
    "parameter-unknown",
  ],
  [
    "a checkpoint with a tensor of another shape",
    () => withTensors((trainable) => trainable.set("fc.weight", floats(Array(8).fill(0), [2, 4]))),
    "fc.weight is float[2, 4] in the checkpoint, and the training model reads float[2, 3].",
    "artifacts-mismatch",
  ],
  [
    "a checkpoint with a trainable tensor that the training model does not know",
    () => withTensors((trainable) => trainable.set("head.weight", floats([0]))),
    "The training model gives no gradient of head.weight, a trainable parameter of the checkpoint: is it an eval model, or of another checkpoint?",
    "artifacts-mismatch",
  ],
  [
    "moments of another shape",
    () => {
      const artifacts = classifierArtifacts();
      const checkpoint = decodeCheckpoint(artifacts.checkpoint);
      checkpoint.optimizer?.momenta.set("fc.bias", [floats([0, 0, 0])]);
      return { ...artifacts, checkpoint: encodeCheckpoint(checkpoint) };
    },
    "moment 0 of fc.bias is float[3] in the checkpoint, and the optimizer model reads float[2].",
    "artifacts-mismatch",
  ],
])("%s is refused when a session opens", async (_, sources, message, code) => {
  await expect(TrainingSession.create(sources(), device)).rejects.toMatchObject({ message, code });
});

test.each<readonly [sentence: string, ...given: unknown[]]>([
  [
    'A session opens an object of files, { checkpoint, trainingModel, evalModel, optimizerModel }, not "build/x".',
    "build/x",
    device,
  ],
  [
    "trainingModel must be the bytes of a file (Uint8Array), its path or its URL, not 5.",
    { ...linearArtifacts("sgd"), trainingModel: 5 },
    device,
  ],
  [
    "evalModel must be the bytes of a file (Uint8Array), its path or its URL, not null.",
    { ...linearArtifacts("sgd"), evalModel: null },
    device,
  ],
  ['A session needs a device of openDevice or webDevice, not "cpu".', linearArtifacts("sgd"), "cpu"],
  [
    "A session needs a device of openDevice or webDevice, not a promise of one: await it.",
    linearArtifacts("sgd"),
    Promise.resolve(device),
  ],
  [
    "inputSizes must be a list of objects with shapes by input, not an object.",
    linearArtifacts("sgd"),
    device,
    { inputSizes: {} },
  ],
])("what a session cannot open is refused in one sentence: %s", async (message, ...given) => {
  await expect(Reflect.apply(TrainingSession.create, TrainingSession, given)).rejects.toMatchObject({
    name: "UserError",
    message,
  });
});

test("what is no device's name is refused", async () => {
  await expect(Reflect.apply(openDevice, undefined, [{}])).rejects.toThrow(
    "an object is not a device: give cpu, cuda, webgpu, coreml, dml, wasm.",
  );
});

test("an unknown device is refused with the nearest name", async () => {
  const message = "webgpuu is not a device: give cpu, cuda, webgpu, coreml, dml, wasm. Did you mean webgpu?";
  await expect(Reflect.apply(openDevice, undefined, ["webgpuu"])).rejects.toMatchObject({
    message,
    code: "device-unknown",
  });
  expect(() => Reflect.apply(webDevice, undefined, [{}, "webgpuu"])).toThrow(message);
});

// --- at a step ---

test("labels that are no classes are refused, with the input and the row, before anything is computed", async () => {
  const session = await TrainingSession.create(classifierArtifacts(), device);
  const before = await session.saveCheckpoint();
  const refused: readonly [readonly number[], string][] = [
    [[0, 1, 2], "The input labels has the label 2 in row 2: the classes are 0 to 1."],
    [[-1, 0], "The input labels has the label -1 in row 0: the classes are 0 to 1."],
    [[0, 99, 98], "The input labels has the label 99 in row 1: the classes are 0 to 1."],
  ];
  for (const [labels, message] of refused) {
    await expect(session.runTrainStep(pictures(labels))).rejects.toMatchObject({
      message,
      code: "label-invalid",
    });
  }
  expect(await session.saveCheckpoint()).toEqual(before);
  await session.runTrainStep(pictures([0, 1]));
  await session.release();
});

test("the evaluation's labels are checked too", async () => {
  const session = await TrainingSession.create(classifierArtifacts(), device);
  await expect(session.runEvalStep(pictures([2]))).rejects.toThrow(
    "The input labels has the label 2 in row 0: the classes are 0 to 1.",
  );
  await session.release();
});

/** A classifier of the vectors in a table, with labels for each place of a sequence; -100 does not count. */
function embeddingArtifacts(): TrainingSources<Uint8Array> {
  const g = createBuilder(new Graph("training"));
  const table = g.input("table", "float", [5, 3]);
  const ids = g.input("ids", "int64", ["batch", "time"]);
  const labels = g.input("labels", "int64", ["batch", "time"]);
  const scores = g.Transpose(g.Gather(table, ids), { perm: [0, 2, 1] });
  const [loss] = g.SoftmaxCrossEntropyLoss(scores, labels, null, { ignore_index: -100 });
  g.output(loss, "loss");
  const bindings = returnGradients(g, [table], appendGradients(g, loss, [table]));
  return {
    checkpoint: encodeCheckpoint({
      trainable: new Map([["table", floats(Array(15).fill(0.5), [5, 3])]]),
      frozen: new Map(),
      properties: new Map(),
    }),
    trainingModel: encodeModel(bindModel({ graph: g.graph, bindings })),
    optimizerModel: encodeModel(
      bindModel(optimizerGraph([{ name: "table", shape: [5, 3] }], { kind: "sgd" })),
    ),
  };
}

test("an ignored label passes, and an index outside its table is refused with its place", async () => {
  const session = await TrainingSession.create(embeddingArtifacts(), device);
  const step = (ids: readonly number[], labels: readonly number[]) =>
    session.runTrainStep({
      ids: new Tensor("int64", BigInt64Array.from(ids, BigInt), [2, 2]),
      labels: new Tensor("int64", BigInt64Array.from(labels, BigInt), [2, 2]),
    });
  await step([0, 4, -5, 2], [0, 2, -100, 1]);
  await expect(step([0, 1, 2, 5], [0, 0, 0, 0])).rejects.toMatchObject({
    message: "The input ids has the index 5 at [1, 1]: the table that it reads has 5 rows.",
    code: "input-value",
  });
  await expect(step([0, 1, 2, 3], [0, 0, 3, 0])).rejects.toThrow(
    "The input labels has the label 3 at [1, 0]: the classes are 0 to 2, and -100 does not count.",
  );
  await session.release();
});

test("what is no tensor is refused by the input's name", async () => {
  const session = await TrainingSession.create(classifierArtifacts(), device);
  const feeds = { ...pictures([0]), images: [1, 2, 3] };
  await expect(Reflect.apply(session.runTrainStep, session, [feeds])).rejects.toMatchObject({
    message: "The input images is no tensor of ONNX Runtime.",
    code: "input-type",
  });
  await session.release();
});

test("a device that refuses the third model frees the sessions of the first two", async () => {
  const { ort } = device;
  let [opened, released] = [0, 0];
  const create = async (model: Uint8Array, options?: InferenceSession.SessionOptions) => {
    if (opened === 2) throw new Error("no memory is left");
    opened++;
    const session = await ort.InferenceSession.create(model, options);
    const release = session.release.bind(session);
    session.release = async () => {
      released++;
      await release();
    };
    return session;
  };
  const refusing = {
    ...device,
    ort: { ...ort, InferenceSession: { create } as typeof ort.InferenceSession },
  };
  await expect(TrainingSession.create(linearArtifacts("sgd"), refusing)).rejects.toThrow("no memory is left");
  expect(released).toBe(2);
});

test("what a session's methods cannot take is refused in one sentence, and the session goes on", async () => {
  const session = await TrainingSession.create(linearArtifacts("sgd"), device);
  const call =
    (name: keyof TrainingSession, ...given: unknown[]) =>
    async () =>
      Reflect.apply(Object(session)[name], session, given);
  const feeds = { ...numbers, target };
  const refused: readonly (readonly [string, () => Promise<unknown>])[] = [
    ["A step takes an object of tensors, { input, target }, not undefined.", call("runTrainStep")],
    ['fetches must be a list of names, not "loss".', call("runTrainStep", feeds, "loss")],
    ["There is no output 5: there are ", call("runEvalStep", feeds, [5])],
    ["setParameter(fc.bias) takes a tensor of ONNX Runtime, not 5.", call("setParameter", "fc.bias", 5)],
    [
      "The buffer of loadParametersBuffer must be bytes (Uint8Array), not an object.",
      call("loadParametersBuffer", new Float32Array(8)),
    ],
    ["A model ends at a list of one or more names of values, not [].", call("exportInferenceModel", [])],
    ['A model ends at a list of one or more names of values, not "y".', call("exportInferenceModel", "y")],
    ["The decay of an average must be a number from 0 to 1, not 5.", call("averageWeights", 5)],
    ["There is no parameter undefined: there are fc.weight, fc.bias.", call("getGradient")],
  ];
  for (const [message, calling] of refused) {
    await expect(calling()).rejects.toMatchObject({
      name: "UserError",
      message: expect.stringContaining(message),
    });
  }
  expect(() => Reflect.set(session, "randomStep", 5)).toThrow(
    "randomStep must be a bigint from 0 below 2^63, not 5.",
  );
  await session.runTrainStep(feeds);
  await session.release();
});

test("an optimizer step before the gradients, and after they were reset, says what to call", async () => {
  const session = await TrainingSession.create(linearArtifacts("sgd"), device);
  const refusal = {
    message: "There are no gradients yet: call runTrainStep before runOptimizerStep.",
    code: "gradients-missing",
  };
  await expect(session.runOptimizerStep()).rejects.toMatchObject(refusal);
  await session.runTrainStep({ ...numbers, target });
  await session.runOptimizerStep();
  session.lazyResetGrad();
  await expect(session.runOptimizerStep()).rejects.toMatchObject(refusal);
  expect((await session.checkpoint()).optimizer?.step).toBe(1);
  await session.release();
});

test("a learning rate that is no number from 0 is refused, and the one before stays", async () => {
  const session = await TrainingSession.create({ ...linearArtifacts("sgd") }, device);
  session.learningRate = 0.5;
  for (const rate of [Number.NaN, Number.POSITIVE_INFINITY, -0.1]) {
    expect(() => {
      session.learningRate = rate;
    }).toThrow(`The learning rate is ${rate}, and must be a number from 0.`);
  }
  expect(session.learningRate).toBe(0.5);
  await session.release();
});

test("replicas refuse the same: labels, steps without gradients, rates", async () => {
  const session = await ReplicatedSession.create(classifierArtifacts(), { replicas: 2, worker });
  await expect(session.runOptimizerStep()).rejects.toMatchObject({ code: "gradients-missing" });
  await expect(session.runTrainStep(pictures([0, 1, 1, 7]))).rejects.toThrow(
    "The input labels has the label 7 in row 3: the classes are 0 to 1.",
  );
  expect(() => {
    session.learningRate = Number.NaN;
  }).toThrow("The learning rate is NaN");
  // one picture for two replicas: one of them has no gradients of its own
  await session.runTrainStep(pictures([1]));
  await session.runOptimizerStep();
  await session.release();
});

test("chunks of steps refuse the same, and calls that overlap or come after the release", async () => {
  const session = await ChunkedSession.create(classifierArtifacts(), device);
  const rates = Float32Array.of(0.1, 0.1);
  const good = pictures([0, 1, 1, 0], [2, 2]);
  await expect(session.runSteps(pictures([0, 1, 0, 5], [2, 2]), rates)).rejects.toThrow(
    "The input labels has the label 5 at [1, 1]: the classes are 0 to 1.",
  );
  await expect(session.runSteps(good, Float32Array.of(0.1, Number.NaN))).rejects.toThrow(
    "The learning rate is NaN",
  );
  const running = session.runSteps(good, rates);
  await expect(session.runSteps(good, rates)).rejects.toMatchObject({ code: "session-busy" });
  await running;
  expect(session.steps).toBe(2);
  await session.release();
  await expect(session.runSteps(good, rates)).rejects.toMatchObject({ code: "session-released" });
  await expect(session.checkpoint()).rejects.toThrow("The session was released");
});

test("replicas, steps of a call and precisions that cannot be are refused in one sentence", async () => {
  const sources = classifierArtifacts();
  for (const [replicas, given] of [
    [0, "0"],
    [1e9, "1000000000"],
    ["two", '"two"'],
  ]) {
    await expect(
      Reflect.apply(ReplicatedSession.create, ReplicatedSession, [sources, { replicas, worker }]),
    ).rejects.toThrow(`replicas must be a whole number from 1 to 1024, not ${given}.`);
  }
  const create = (options: object) =>
    Reflect.apply(ChunkedSession.create, ChunkedSession, [sources, device, options]);
  await expect(create({ stepsPerCall: 0 })).rejects.toThrow(
    "stepsPerCall must be a whole number from 1, not 0.",
  );
  await expect(create({ precision: "half" })).rejects.toThrow(
    'precision must be float32, mixed, bfloat16, not "half".',
  );
  const session = await ChunkedSession.create(sources, device);
  await expect(
    Reflect.apply(session.runSteps, session, [pictures([0, 1, 1, 0], [2, 2]), [0.1, 0.1]]),
  ).rejects.toThrow("The learning rates must be a Float32Array, one a step, not [0.1, 0.1].");
  await session.release();
});

test("ONNX Runtime 1.19.2's session refuses the same", async () => {
  const session = await OrtTrainingSession.create(buildTrainingArtifacts(tinySettings({ fused: true })));
  await expect(
    Reflect.apply(OrtTrainingSession.create, OrtTrainingSession, [linearArtifacts("sgd"), { threads: null }]),
  ).rejects.toThrow("The number of threads must be a whole number from 1 to 1024, not null.");
  await expect(session.runOptimizerStep()).rejects.toMatchObject({ code: "gradients-missing" });
  expect(() => {
    session.learningRate = Number.NaN;
  }).toThrow("The learning rate is NaN");
  await expect(
    session.runTrainStep({
      images: new Tensor("uint8", new Uint8Array(3072), [1, 3, 32, 32]),
      labels: new Tensor("int64", [-1n], [1]),
      alpha: new Tensor("float32", new Float32Array(3), [3, 1]),
      beta: new Tensor("float32", new Float32Array(3), [3, 1]),
    }),
  ).rejects.toThrow("The input labels has the label -1 in row 0: the classes are 0 to 9.");
  await session.release();
});

test("a missing optimizer model is told before missing gradients", async () => {
  const { checkpoint } = linearArtifacts("sgd");
  for (const sources of [
    { checkpoint, trainingModel },
    { checkpoint, trainingModel, optimizerModel },
  ]) {
    const session = await TrainingSession.create(sources, device);
    const wants =
      "optimizerModel" in sources ? "There are no gradients yet" : "The session has no optimizer model";
    await expect(session.runOptimizerStep()).rejects.toThrow(wants);
    await session.release();
  }
});
