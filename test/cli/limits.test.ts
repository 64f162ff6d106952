import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, expect, test } from "vitest";
import { createBuilder, createModel, encodeModel, Graph } from "../../graph-builder/index.ts";
import { pictureModel } from "../support/picture-models.ts";
import { shake, start, temporaryFolder } from "../support/shake.ts";
import { spinningModel } from "../support/spinning-model.ts";

const folder = temporaryFolder();

beforeAll(async () => {
  const create = { width: 8, height: 8, channels: 3, background: "red" } as const;
  await sharp({ create }).png().toFile(join(folder, "red.png"));
});

/** A classifier whose scores are a mean colour, repeated for so many classes. */
function ofClasses(classes: number): Uint8Array {
  const g = createBuilder(new Graph("wide"));
  const x = g.input("x", "float", ["batch", 3, 8, 8]);
  const mean = g.Flatten(g.ReduceMean(x, { axes: [1, 2, 3] }));
  g.output(g.Expand(mean, g.int64([1, classes])), "y");
  return encodeModel(createModel(g.graph));
}

test("a model that spins is ended after --timeout, by predict and by eval", async () => {
  writeFileSync(join(folder, "spin.onnx"), spinningModel());
  const sentence = "shake: It was not done after 3 s and was ended: give it longer with --timeout.\n";
  const [predicted, evaluated] = await Promise.all([
    shake(folder, "predict", "spin.onnx", "red.png", "--timeout", "3"),
    shake(folder, "eval", "--model", "spin.onnx", "--data", "shapes", "--timeout", "3"),
  ]);
  expect(predicted).toEqual({ code: 2, stdout: "", stderr: sentence });
  expect(evaluated).toMatchObject({ code: 2, stdout: "" });
  expect(evaluated.stderr.endsWith(sentence), evaluated.stderr).toBe(true);
});

test.skipIf(process.platform !== "linux")(
  "SIGUSR1 ends a command that does not train, and opens no debugger",
  async () => {
    writeFileSync(join(folder, "spin.onnx"), spinningModel());
    const { child, finished } = start(folder, "predict", "spin.onnx", "red.png", "--timeout", "100");
    const children = `/proc/${child.pid}/task/${child.pid}/children`;
    await expect.poll(() => readFileSync(children, "utf8"), { timeout: 20_000 }).not.toBe("");
    child.kill("SIGUSR1");
    expect(await finished).toEqual({ code: null, stdout: "", stderr: "" });
    expect(child.signalCode).toBe("SIGTERM");
  },
);

test("a command that is done before --timeout is as it is without", async () => {
  writeFileSync(join(folder, "small.onnx"), encodeModel(pictureModel({ side: 8 })));
  const args = ["predict", "small.onnx", "red.png"];
  const plain = await shake(folder, ...args);
  expect(plain.code, plain.stderr).toBe(0);
  expect(await shake(folder, ...args, "--timeout", "100")).toEqual(plain);
  const refused = await shake(folder, "predict", "none.onnx", "red.png", "--timeout", "100");
  expect(refused).toEqual({ code: 2, stdout: "", stderr: "shake: none.onnx does not exist.\n" });
});

test.each([
  [400_000, "small.onnx declares x with 6.5 GiB, and the limit is 1 GiB."],
  [1_000_000_000, "small.onnx declares x with 16138.0 GiB, and the limit is 1 GiB."],
])("a declared batch of %d is refused before its memory is taken", async (batch, sentence) => {
  writeFileSync(join(folder, "small.onnx"), encodeModel(pictureModel({ side: 38, batch })));
  const { code, stderr } = await shake(folder, "predict", "small.onnx", "red.png");
  expect({ code, stderr }).toEqual({ code: 2, stderr: `shake: ${sentence}\n` });
});

test("1.2 million classes are ranked, and outputs that are too large are refused", async () => {
  writeFileSync(join(folder, "wide.onnx"), ofClasses(1_200_000));
  const { code, stdout, stderr } = await shake(folder, "predict", "wide.onnx", "red.png");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(/red\.png +class 0 +0\.00 %/);
  writeFileSync(join(folder, "wide.onnx"), ofClasses(1_200_000_000));
  expect((await shake(folder, "predict", "wide.onnx", "red.png")).stderr).toBe(
    "shake: wide.onnx declares y with 4.5 GiB, and the limit is 1 GiB.\n",
  );
});
