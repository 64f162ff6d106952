import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as ort from "onnxruntime-node";
import { expect, test } from "vitest";
import { decodeCheckpoint } from "../../artifacts/index.ts";
import { saliency } from "../../dist/examples/saliency.js";
import { at } from "../../graph-builder/index.ts";
import { shapesDataset } from "../../runtime/index.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { buildTrainingArtifacts, inferenceModel } from "../../shakenet/index.ts";
import { temporaryFolder } from "../support/shake.ts";
import { tinySettings } from "../support/tiny-run.ts";

const settings = tinySettings();
const model = inferenceModel(settings, decodeCheckpoint(buildTrainingArtifacts(settings).checkpoint));

test("the saliency of the example is the gradient of the class's logit: central differences agree", async () => {
  const device = await openDevice("cpu", { threads: 1 });
  const { images } = shapesDataset("test", 1);
  const { best, gradient } = await saliency(model, images, device);
  const session = await ort.InferenceSession.create(model);
  const direction = gradient.map(Math.sign);
  const logit = async (step: number) => {
    const moved = Float32Array.from(images, (pixel, i) => pixel + step * at(direction, i));
    const { logits } = await session.run({ images: new ort.Tensor("float32", moved, [1, 3, 32, 32]) });
    return Number(logits?.data[best]);
  };
  const numeric = ((await logit(0.02)) - (await logit(-0.02))) / 0.04;
  const analytic = gradient.reduce((sum, value, i) => sum + value * at(direction, i), 0);
  expect(numeric).toBeGreaterThan(1e-2);
  expect(Math.abs(analytic - numeric)).toBeLessThan(0.02 * Math.abs(numeric));
  await session.release();
});

test("the example runs by plain node, and draws which pixels decide the class", async () => {
  const path = join(temporaryFolder(), "model.onnx");
  writeFileSync(path, model);
  const script = fileURLToPath(new URL("../../dist/examples/saliency.js", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, path]);
  const [title = "", ...map] = stdout.split("\n");
  expect(title).toMatch(/^a \w+, taken for a \w+ because of$/);
  expect(map.slice(0, 32).map((row) => row.length)).toEqual(Array(32).fill(32));
  expect(stdout).toContain("@");
});
