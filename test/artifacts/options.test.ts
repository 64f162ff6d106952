import { describe, expect, test } from "vitest";
import { generateArtifacts } from "../../artifacts/index.ts";
import { encodeModel } from "../../graph-builder/index.ts";
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
    ["target must be ort-training or standard, not ort.", { target: "ort" }],
    ["seed must be a whole number from 0 to 2^53 - 1, not 1.5.", { seed: 1.5 }],
    ["additionalOutputs must be a list of names, not output.", { additionalOutputs: "output" }],
    ["additionalOutputs has output twice.", { additionalOutputs: ["output", "output"] }],
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
