import { describe, expect, test } from "vitest";
import { mergedTensors } from "../../artifacts/adapters.ts";
import { countIn, parseManifest } from "../../artifacts/index.ts";
import { modelConfigIn } from "../../cli/models/settings.ts";
import { type ClassificationTask, classificationRecordIn } from "../../runtime/index.ts";
import { Progress } from "../../runtime/loop/progress.ts";
import { classNamesIn } from "../../shakenet/class-names.ts";
import { isShakeNetManifest } from "../../shakenet/index.ts";
import { checkpointSettings } from "../../shakenet/provenance.ts";
import { tinySettings } from "../support/tiny-run.ts";

const record = {
  ...{ epoch: 1, step: 6, train_loss: 1, train_accuracy: 10, test_loss: 2, test_accuracy: 20 },
  ...{ learning_rate: 0.1, images_per_second: 30, seconds: 4 },
};
const manifest = {
  ...{ format: 1, parameters: 3, cost: { forwardFlops: 1, backwardFlops: 2, activationBytes: 3 } },
  ...{ network: "8 2x2d", blocks: 3, settings: tinySettings() },
};
const feeding = {
  ...{ input: "x", type: "uint8", layout: "nchw", channels: 3, height: 4, width: 4 },
  ...{ pixels: "raw", labels: "labels", scores: "logits", classes: 10 },
};
const config = { model: "mine", feeding, learningRate: 0.1, data: "shapes", epochs: 1 };
const task: Pick<ClassificationTask, "metrics" | "best" | "unit"> = {
  metrics: {
    loss: { output: "loss", over: "mean", scale: 1 },
    accuracy: { output: "correct", over: "sum", scale: 100 },
  },
  best: { metric: "accuracy", higherIsBetter: true, worst: -1 },
  unit: "images",
};
const progress = (text: string) =>
  Reflect.construct(Progress, [task, { properties: new Map([["progress", text]]) }]);
const settings = (text: string) =>
  checkpointSettings(
    { trainable: new Map(), frozen: new Map(), properties: new Map([["settings", text]]) },
    "runs/a/last",
  );
const lora = (text: string) =>
  mergedTensors({ trainable: new Map(), frozen: new Map(), properties: new Map([["lora", text]]) });

/** What reads a JSON, what it is called, a sound value, and faults: a field, its wrong value, a sentence. */
const readers: readonly [
  string,
  (text: string) => unknown,
  string,
  object,
  readonly (readonly [Readonly<Record<string, unknown>>, string])[],
][] = [
  [
    "a line of metrics.jsonl",
    (text) => classificationRecordIn(text, "Line 2 of a/metrics.jsonl"),
    "Line 2 of a/metrics.jsonl",
    record,
    [
      [{ epoch: undefined }, "lacks the field epoch, which must be a number."],
      [{ epoch: 0 }, "has the field epoch, which is 0 and must be at least 1."],
      [{ test_loss: [1] }, "has the field test_loss, which is a list and must be a number."],
      [{ epoch: null }, "has the field epoch, which is null and must be a number."],
    ],
  ],
  [
    "manifest.json",
    (text) => parseManifest(text, "a/manifest.json", isShakeNetManifest),
    "a/manifest.json",
    manifest,
    [
      [{ format: 2 }, "has the field format, which is 2 and must be 1."],
      [{ parameters: "3" }, 'has the field parameters, which is the text "3" and must be a number.'],
      [{ cost: {} }, "lacks the field cost.forwardFlops, which must be a number."],
      [{ files: ["a"] }, "has the field files, which is a list and must be an object."],
      [{ settings: null }, "has the field settings, which is null and must be an object."],
      [
        { settings: { ...tinySettings(), depth: [8] } },
        "has the field settings.depth, which is a list and must be a number.",
      ],
      [
        { settings: { ...tinySettings(), mean: [1, null] } },
        "has the field settings.mean[1], which is null and must be a number.",
      ],
    ],
  ],
  [
    "a checkpoint's settings",
    settings,
    "runs/a/last, property settings,",
    tinySettings(),
    [
      [{ width: 2.5 }, "has the field width, which is 2.5 and must be a whole number."],
      [
        { optimizer: "constructor" },
        'has the field optimizer, which is the text "constructor" and must be one of ',
      ],
      [{ std: 63 }, "has the field std, which is 63 and must be a list."],
    ],
  ],
  [
    "a checkpoint's progress",
    progress,
    "The checkpoint's property progress",
    { step: 3, lossSum: 1.5, correct: 2, images: 48, bestAccuracy: 20 },
    [
      [{ step: -5 }, "has the field step, which is -5 and must be at least 0."],
      [{ lossSum: "1" }, 'has the field lossSum, which is the text "1" and must be a number.'],
    ],
  ],
  [
    "a checkpoint's adapters",
    lora,
    "The checkpoint's property lora",
    { scale: 1, weights: { w: ["left", "right"] } },
    [
      [{ scale: [1] }, "has the field scale, which is a list and must be a number."],
      [{ weights: { w: ["left", 2] } }, "has the field weights.w[1], which is 2 and must be a text."],
    ],
  ],
  [
    "the config.json of a model's run",
    (text) => modelConfigIn({ ...JSON.parse(text) }, "a/config.json"),
    "a/config.json",
    config,
    [
      [{ feeding: null }, "has the field feeding, which is null and must be an object."],
      [
        { feeding: { ...feeding, height: [4] } },
        "has the field feeding.height, which is a list and must be a number.",
      ],
      [{ model: undefined }, "lacks the field model, which must be a text."],
    ],
  ],
];

describe.each(readers)("%s", (_, read, where, sound, faults) => {
  test("is read where it is sound", () => {
    expect(() => read(JSON.stringify(sound))).not.toThrow();
  });

  test.each(faults)("with %j is refused by its field", (change, sentence) => {
    expect(() => read(JSON.stringify({ ...sound, ...change }))).toThrow(`${where} ${sentence}`);
  });

  test("is refused in a sentence where it is null, a list or an empty object", () => {
    for (const text of ["null", "[]", "{}"]) {
      expect(() => read(text), text).toThrow(expect.objectContaining({ name: "UserError" }));
      expect(() => read(text), text).toThrow(where);
    }
  });
});

test("a text that is no JSON is refused with the reason", () => {
  expect(() => classificationRecordIn("{", "Line 1 of m")).toThrow(/^Line 1 of m is not JSON: /);
  expect(() => settings("")).toThrow(/^runs\/a\/last, property settings, is not JSON: /);
});

test("class names that are no JSON list of texts are told of, and the classes have numbers", () => {
  const notes: string[] = [];
  const read = (text: string) => classNamesIn({ class_names: text }, (note) => notes.push(note));
  expect(read('["cat", "__proto__"]')).toEqual(["cat", "__proto__"]);
  expect(notes).toEqual([]);
  for (const text of ["null", "{}", '[["cat"]]', "cat,dog"]) expect(read(text), text).toEqual([]);
  expect(notes).toHaveLength(4);
  expect(notes[2]).toBe(
    "The metadata class_names has the field [0], which is a list and must be a text. The classes have numbers in place of names.",
  );
  expect(classNamesIn({})).toEqual([]);
});

test("a count of a checkpoint is a whole number from 0", () => {
  const count = (value: bigint | string | number) =>
    countIn(new Map([["step", value]]), "step", "runs/a/last");
  expect(count(7n)).toBe(7);
  expect(countIn(new Map(), "step", "runs/a/last")).toBeUndefined();
  expect(() => count(-5n)).toThrow("runs/a/last, property step, is -5 and must be at least 0.");
  expect(() => count("7")).toThrow('is the text "7" and must be a whole number.');
  expect(() => count(7.5)).toThrow("is 7.5 and must be a whole number.");
});
