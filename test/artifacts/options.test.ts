import { describe, expect, test } from "vitest";
import {
  adaptersOf,
  applyAdapters,
  decodeCheckpoint,
  encodeCheckpoint,
  generateArtifacts,
  restoreModel,
  trainingCoverage,
} from "../../artifacts/index.ts";
import { encodeModel, trainingForm } from "../../graph-builder/index.ts";
import { mlp } from "../support/artifact-models.ts";

const model = encodeModel(mlp());

/** What a program without types gives. */
const generate = (options: object) => () =>
  Reflect.apply(generateArtifacts, undefined, [model, { loss: "mse", ...options }]);

describe("an option that is no such thing is refused in one sentence", () => {
  test.each<readonly [sentence: string, options: object]>([
    ["generateArtifacts needs the option loss: what training minimises.", { loss: undefined }],
    ["generateArtifacts has no option trainible. Did you mean trainable?", { trainible: "head" }],
    ["The learning rate is NaN, and must be a number from 0.", { learningRate: Number.NaN }],
    ["bodyRate is -1, and must be a number from 0.", { bodyRate: -1 }],
    ['target must be ort-training or standard, not "ort".', { target: "ort" }],
    ["seed must be a whole number from 0 to 2^53 - 1, not 1.5.", { seed: 1.5 }],
    ['seed must be a whole number from 0 to 2^53 - 1, not "1".', { seed: "1" }],
    ["fused must be true or false, not 1.", { fused: 1 }],
    ["classes must be a whole number from 1, not 2.5.", { classes: 2.5 }],
    ["trainable must be a text, a list of texts or a function, not 5.", { trainable: 5 }],
    ["lora must be an object such as { rank: 4 }, not 4.", { lora: 4 }],
    ["lora has no setting target. Did you mean targets?", { lora: { rank: 4, target: "fc" } }],
    ["externalData must be a Map of bytes by location, not an object.", { externalData: {} }],
    ['additionalOutputs must be a list of names, not "output".', { additionalOutputs: "output" }],
    ["additionalOutputs has output twice.", { additionalOutputs: ["output", "output"] }],
    ["evaluationOutputs must be a list of names, not [5].", { evaluationOutputs: [5] }],
    ["The rank of lora must be a whole number from 1, not undefined.", { lora: {} }],
    ["The alpha of lora must be a number above 0, not an object.", { lora: { rank: 2, alpha: {} } }],
    ["The targets of lora must be a text or a list of texts, not 5.", { lora: { rank: 2, targets: 5 } }],
    [
      "externalData must be a Map of bytes by location, not an object.",
      { externalData: new Map([["weights", "text"]]) },
    ],
    ["properties must be a Map of texts and bigints by name, not an object.", { properties: { a: "b" } }],
    ["docStrings must be an object of texts, not an object.", { docStrings: { training: 5 } }],
    ["name must be a text, not 5.", { name: 5 }],
    ["substitutes must be a Map of values of the graph, not an object.", { substitutes: {} }],
    ['optimizer must be a name or an object such as { kind: "adamw" }, not 5.', { optimizer: 5 }],
    [
      'groups must be an object such as { "*.bias": { weightDecay: 0 } }, not 5.',
      { optimizer: { kind: "adamw", groups: 5 } },
    ],
    [
      "The group * must be an object such as { weightDecay: 0 }, not 5.",
      { optimizer: { kind: "adamw", groups: { "*": 5 } } },
    ],
    [
      "out.weight [1000000000, 4] would have 4,000,000,000 values, and a checkpoint holds less than 536,870,912.",
      { classes: 1e9 },
    ],
    [
      "out.weight.lora_B [2, 1000000000] would have 2,000,000,000 values, and a checkpoint holds less than 536,870,912.",
      { lora: { rank: 1e9, targets: "out.*" } },
    ],
    [
      "adam is not an optimizer: give sgd-nesterov, sgd, sgd-momentum, adamw, muon. Did you mean adamw?",
      { optimizer: { kind: "adam" } },
    ],
    [
      "adamw has no setting weightDcay. Did you mean weightDecay?",
      { optimizer: { kind: "adamw", weightDcay: 0 } },
    ],
    [
      "sgd-momentum has no setting dampening. It has momentum, weightDecay, maxNorm, clipValue, groups.",
      { optimizer: { kind: "sgd-momentum", dampening: 0.1 } },
    ],
    [
      "beta of adamw is 1, and must be a number from 0 and below 1.",
      { optimizer: { kind: "adamw", beta: 1 } },
    ],
    [
      "weightDecay of sgd-nesterov is -1, and must be a number from 0.",
      { optimizer: { kind: "sgd-nesterov", weightDecay: -1 } },
    ],
    ["maxNorm is -1, and must be a number above 0.", { optimizer: { kind: "adamw", maxNorm: -1 } }],
    ["maxNorm is NaN, and must be a number above 0.", { optimizer: { kind: "sgd", maxNorm: Number.NaN } }],
    ["sgdRate of muon is 0, and must be a number above 0.", { optimizer: { kind: "muon", sgdRate: 0 } }],
  ])("%s", (sentence, options) => {
    expect(generate(options)).toThrow(expect.objectContaining({ name: "UserError", message: sentence }));
  });
});

describe("a loss that is none is refused in one sentence", () => {
  test.each<readonly [sentence: string, loss: unknown]>([
    ["5 is not a loss: give cross-entropy, mse, l1, bce-with-logits, an object or a function.", 5],
    ["A loss with settings needs its type: cross-entropy, mse, l1, bce-with-logits.", { input: "output" }],
    ["mes is not a loss: give cross-entropy, mse, l1, bce-with-logits or the output that is one.", "mes"],
    ["A weighted sum needs at least one loss.", []],
    ['A term of a weighted sum is { loss, weight }, not "mse".', ["mse"]],
    ['the weight of a loss must be a finite number, not "1".', [{ loss: "mse", weight: "1" }]],
    ["A term of a weighted sum has no setting wieght. Did you mean weight?", [{ loss: "mse", wieght: 2 }]],
    [
      'reduction must be mean or sum, not "none": a loss is one number.',
      [{ loss: { type: "mse", reduction: "none" } }],
    ],
    [
      "mse has no setting labelSmoothing. It has type, input, target, reduction.",
      { type: "mse", labelSmoothing: 0.1 },
    ],
    [
      "cross-entropy has no setting classWeight. Did you mean classWeights?",
      { type: "cross-entropy", classWeight: [1, 2] },
    ],
    ["input must be a name, not 5.", { type: "mse", input: 5 }],
    ["target must be a name, not an object.", { type: "mse", target: {} }],
    ["output must be a name, not undefined.", { output: undefined }],
    ["classWeights must be a list of numbers from 0, not 5.", { type: "cross-entropy", classWeights: 5 }],
    ["positiveWeights must be a list of numbers from 0", { type: "bce-with-logits", positiveWeights: {} }],
    ["ignoreIndex must be a whole number, not an object.", { type: "cross-entropy", ignoreIndex: {} }],
    [
      "labelSmoothing must be a number from 0 to 1, not an object.",
      { type: "cross-entropy", labelSmoothing: {} },
    ],
    ['softLabels must be true or false, not "no".', { type: "cross-entropy", softLabels: "no" }],
    ["The function of the loss returned undefined, and must return a value of the graph.", () => undefined],
    ["The function of the loss returned a promise, and must return a value of the graph.", async () => 0],
  ])("%s", (sentence, loss) => {
    expect(generate({ loss })).toThrow(
      expect.objectContaining({ name: "UserError", message: expect.stringContaining(sentence) }),
    );
  });
});

test.each<readonly [what: string, given: unknown]>([
  ['"m.onnx"', "m.onnx"],
  ["undefined", undefined],
  ["an object", model.buffer],
])("what is no model is refused in one sentence: %s", (what, given) => {
  const sentence = `generateArtifacts takes the bytes of an ONNX file (Uint8Array), a Model or a Graph, not ${what}.`;
  expect(() => Reflect.apply(generateArtifacts, undefined, [given, { loss: "mse" }])).toThrow(
    expect.objectContaining({ name: "UserError", message: sentence }),
  );
});

test.each<readonly [sentence: string, given: object, options: object]>([
  [
    "externalData needs the bytes of the file that it lies beside: give them, not a Model or a graph.",
    mlp(),
    { externalData: new Map() },
  ],
  [
    "classes needs the model with its file: give the bytes, or a Model, not a graph.",
    trainingForm(mlp().graph),
    { classes: 3 },
  ],
  [
    "lora needs the model before it is in training form: give the bytes, a Model or a Graph.",
    trainingForm(mlp().graph),
    { lora: { rank: 2 } },
  ],
])("an option that has no place in what is trained is refused: %s", (sentence, given, options) => {
  expect(() => Reflect.apply(generateArtifacts, undefined, [given, { loss: "mse", ...options }])).toThrow(
    expect.objectContaining({ name: "UserError", message: sentence }),
  );
});

test.each<readonly [sentence: string, call: () => unknown]>([
  [
    "restoreModel takes a checkpoint as decodeCheckpoint returns it, not its bytes.",
    () => Reflect.apply(restoreModel, undefined, [model, model]),
  ],
  [
    'The source of restoreModel must be bytes (Uint8Array), not "source.onnx".',
    () => Reflect.apply(restoreModel, undefined, ["source.onnx", {}]),
  ],
  [
    "adaptersOf takes a checkpoint as decodeCheckpoint returns it, not undefined.",
    () => Reflect.apply(adaptersOf, undefined, []),
  ],
  [
    "encodeCheckpoint takes a checkpoint as decodeCheckpoint returns it, not a promise of one.",
    () => Reflect.apply(encodeCheckpoint, undefined, [Promise.resolve({})]),
  ],
  [
    "applyAdapters takes a checkpoint as decodeCheckpoint returns it, not an object.",
    () => Reflect.apply(applyAdapters, undefined, [model, {}]),
  ],
  [
    'checkpoint must be bytes (Uint8Array), not "build/x/checkpoint".',
    () => Reflect.apply(decodeCheckpoint, undefined, ["build/x/checkpoint"]),
  ],
  [
    'trainingCoverage takes the bytes of an ONNX file (Uint8Array), a Model or a Graph, not "m.onnx".',
    () => Reflect.apply(trainingCoverage, undefined, ["m.onnx"]),
  ],
  [
    'outputs must be a list of names, not "y".',
    () => Reflect.apply(trainingCoverage, undefined, [model, { outputs: "y" }]),
  ],
])("what a function cannot take is refused in one sentence: %s", (message, call) => {
  expect(call).toThrow(expect.objectContaining({ name: "UserError", message }));
});

test("constants of an optimizer that are not given are PyTorch's", () => {
  const { manifest } = generateArtifacts(model, {
    loss: "mse",
    optimizer: { kind: "adamw", weightDecay: 0.05, maxNorm: 1, groups: { "*.bias": { weightDecay: 0 } } },
  });
  expect(manifest.optimizer).toEqual({
    kind: "adamw",
    alpha: 0.9,
    beta: 0.999,
    epsilon: 1e-8,
    weightDecay: 0.05,
    correctBias: true,
    mode: 0,
    maxNorm: 1,
    groups: { "*.bias": { weightDecay: 0 } },
  });
});
