import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { decodeCheckpoint } from "../../artifacts/index.ts";
import { decodeMetadata, decodeModel } from "../../graph-builder/index.ts";
import { inferenceModel } from "../../shakenet/index.ts";
import { randomCheckpoint } from "../support/frozen.ts";
import { colourPictures, writeFiles } from "../support/picture-folder.ts";
import { shakeWith, temporaryFolder } from "../support/shake.ts";
import { tinySettings } from "../support/tiny-run.ts";

const folder = temporaryFolder();
const shake = (...args: string[]) => shakeWith({ SHAKE_CACHE_DIR: join(folder, "cache") }, folder, ...args);
const settings = tinySettings({ width: 2, classes: 10 });

beforeAll(async () => {
  writeFiles(folder, await colourPictures({ red: 8, blue: 8, green: 8 }, "photos/"));
  writeFileSync(join(folder, "ten.onnx"), inferenceModel(settings, randomCheckpoint(settings)));
});

/** The initializers of a model: their names, shapes and bytes. */
function weights(name: string) {
  const bytes = readFileSync(join(folder, name));
  const { initializers } = decodeModel(bytes, name).graph;
  return new Map(initializers.map(({ name: own = "", constant }) => [own, constant]));
}

test("a model in a file is trained on pictures of other classes, but for the frozen parameters", async () => {
  const flags = ["--epochs", "1", "--batch-size", "8", "--replicas", "1", "--run-dir", "run"];
  const { code, stderr } = await shake(
    "train",
    "--data",
    "photos",
    "--init",
    "ten.onnx",
    "--freeze",
    "stem*",
    ...flags,
  );
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const [before, after] = [weights("ten.onnx"), weights("run/model.onnx")];
  expect(after.get("fc.weight")?.dims).toEqual([3, 8]);
  expect(after.get("stem.conv.weight")?.data).toEqual(before.get("stem.conv.weight")?.data);
  expect(after.get("stage3.block0.conv1.weight")?.data).not.toEqual(
    before.get("stage3.block0.conv1.weight")?.data,
  );
  const metadata = decodeMetadata(readFileSync(join(folder, "run/model.onnx")));
  expect(metadata).toMatchObject({ class_names: '["blue","green","red"]', data: "./photos" });
});

test("a ShakeNet takes all weights of a run but those of its last layer, and the run's network", async () => {
  const flags = ["--batch-size", "64", "--image-size", "8", "--replicas", "1"];
  const first = await shake(
    "train",
    "--data",
    "photos",
    "--width",
    "2",
    "--epochs",
    "1",
    ...flags,
    "--run-dir",
    "a",
  );
  expect(first.code).toBe(0);
  // a rate that changes nothing, so that the weights can be compared
  const rate = ["--learning-rate", "1e-20", "--weight-decay", "0", "--seed", "2"];
  const second = await shake(
    "train",
    "--data",
    "photos",
    "--init",
    "a",
    "--epochs",
    "1",
    ...flags,
    ...rate,
    "--run-dir",
    "b",
  );
  expect(second.stderr).toMatch(/network +8 2x2d/);
  const [one, other] = ["a", "b"].map((run) =>
    decodeCheckpoint(readFileSync(join(folder, run, "checkpoints/last")), run),
  );
  const name = "stage2.block0.branch1.conv1.weight";
  expect(other?.trainable.get(name)?.data).toEqual(one?.trainable.get(name)?.data);
  expect(other?.trainable.get("fc.weight")?.data).not.toEqual(one?.trainable.get("fc.weight")?.data);
  const wider = await shake(
    "train",
    "--data",
    "photos",
    "--init",
    "a",
    "--width",
    "4",
    ...flags,
    "--run-dir",
    "c",
  );
  expect(wider.code).toBe(2);
  expect(wider.stderr).toMatch(
    /a\/checkpoints\/last has stage1\S+ \[2\], and the network wants it \[4\]: it is another network/,
  );
});

test.each([
  ["--freeze without --init", ["--freeze", "stem*"], /--freeze needs --init MODEL\.onnx/],
  [
    "--init beside --artifacts",
    ["--init", "ten.onnx", "--artifacts", "x"],
    /--init does not go with --artifacts/,
  ],
])("%s is refused", async (_, flags, message) => {
  const { code, stderr } = await shake("train", "--data", "photos", ...flags);
  expect(code).toBe(2);
  expect(stderr).toMatch(message);
});
