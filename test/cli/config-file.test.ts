import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { trainCommand } from "../../cli/commands/train/command.ts";
import { readConfigFile } from "../../cli/config-file.ts";
import { withoutComments } from "../../cli/json-comments.ts";
import { temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();

/** The settings of shake train in a file, beside flags. */
function settingsIn(entries: object, flags: object = {}): Promise<object> {
  const path = join(folder, "config.json");
  writeFileSync(path, JSON.stringify(entries));
  return readConfigFile(path, trainCommand.settings, flags);
}

test("comments and last commas become spaces, so that every other character keeps its place", () => {
  const text = `{ // the network
  "depth": 14, /* layers,
  with the stem */ "width": 32,
  "freeze": ["a", "b",],
}`;
  const plain = withoutComments(text);
  expect(JSON.parse(plain)).toEqual({ depth: 14, width: 32, freeze: ["a", "b"] });
  expect(plain.length).toBe(text.length);
  expect(plain.split("\n").map((line) => line.length)).toEqual(text.split("\n").map((line) => line.length));
  expect(plain.indexOf('"width"')).toBe(text.indexOf('"width"'));
});

test.each([
  ['{"data": "http://a/b", "x": "/* no */", "y": "a,]", "z": "\\"// no"}'],
  ['{"a": [1, 2], "b": {}}'],
  ['{"path": "C:\\\\", "next": "// no"}'],
])("%s is left as it is", (text) => {
  expect(withoutComments(text)).toBe(text);
});

test.each(['{"a": 1, // no end', '{"a": 1 /* no end }', '{"a": "no end // }'])(
  "%s is still no JSON",
  (text) => {
    expect(() => JSON.parse(withoutComments(text))).toThrow(SyntaxError);
  },
);

const size = { channels: 3, height: 8, width: 8 };
const pictures = { classNames: ["a", "b"], size, mean: [1, 2, 3], std: [4, 5, 6], background: [7, 8, 9] };
const earlier = [{ epochs: 2, learningRate: 0.1, steps: 8, isFinished: true }];
const feeding = { input: "x", labels: "labels", scores: "y", type: "float32", layout: "nhwc", channels: 3 };
const square = { ...feeding, height: 12, width: 12, pixels: "0.5/0.25", classes: 10 };

test.each<readonly [what: string, entries: object, settings: object]>([
  ["on pictures of one's own", { data: "/photos", pictures }, { data: "/photos" }],
  ["that a resume changed", { epochs: 3, earlier }, { epochs: 3 }],
  [
    "of a model from a file",
    { model: "mine", feeding: square, epochs: 2 },
    { pixels: "0.5/0.25", imageSize: 12, epochs: 2 },
  ],
  [
    "of a model whose pictures are wider than high",
    { model: "mine", feeding: { ...square, width: 16 } },
    { pixels: "0.5/0.25" },
  ],
])("the config.json of a run %s has the settings of a new run", async (_, entries, settings) => {
  expect(await settingsIn(entries, { artifacts: "build/mine" })).toEqual(settings);
});

test.each<readonly [what: string, entries: object, message: RegExp]>([
  [
    "the settings of a model's run and no model",
    { model: "mine", feeding: square },
    /config\.json has the settings of a run that trains a model from a file: give its --artifacts, or the model with --init\.$/,
  ],
  ["a damaged feeding", { init: "m.onnx", feeding: { pixels: 1 } }, /^feeding in \S+ lacks the field input/],
  ["a path of pictures", { pictures: "photos" }, /^pictures in \S+ is not a setting of this command\./],
])("a file with %s is refused", async (_, entries, message) => {
  await expect(settingsIn(entries)).rejects.toThrow(message);
});
