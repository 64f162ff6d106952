import { copyFileSync, cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { decodeCheckpoint, encodeCheckpoint, joinAverages } from "../../artifacts/index.ts";
import { openGivenArtifacts } from "../../cli/commands/train/given-artifacts.ts";
import { readInitialCheckpoint, withInitialWeights } from "../../cli/commands/train/initial-checkpoint.ts";
import { decodeMetadata, decodeModel, Tensor } from "../../graph-builder/index.ts";
import { datasets } from "../../runtime/data/dataset.ts";
import { buildTrainingArtifacts, checkpointClasses, inferenceModel } from "../../shakenet/index.ts";
import { randomCheckpoint } from "../support/frozen.ts";
import { colourPictures, writeFiles } from "../support/picture-folder.ts";
import { shakeWith, temporaryFolder } from "../support/shake.ts";
import { tinySettings } from "../support/tiny-run.ts";

const folder = temporaryFolder();
const shake = (...args: string[]) => shakeWith({ SHAKE_CACHE_DIR: join(folder, "cache") }, folder, ...args);
const settings = tinySettings({ width: 2, classes: 10 });

beforeAll(async () => {
  writeFiles(folder, await colourPictures({ red: 8, blue: 8, green: 8 }, "photos/"));
  writeFiles(folder, await colourPictures({ red: 8, purple: 8, green: 8 }, "others/"));
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
    "others",
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
  expect(second.stderr).toMatch(
    /For 21 training pictures, where you say nothing else: --last-batch spread\n/,
  );
  const [one, other] = ["a", "b"].map((run) =>
    decodeCheckpoint(readFileSync(join(folder, run, "checkpoints/last")), run),
  );
  const [own, given] = ["a", "b"].map((run) => decodeMetadata(readFileSync(join(folder, run, "model.onnx"))));
  expect(own).toHaveProperty("command");
  // the settings alone do not repeat what began with the weights of another run
  expect(given).not.toHaveProperty("command");
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
    /a\/checkpoints\/last has fc\.weight \[3, 8\], and the network wants it \[3, 16\]: it is another network/,
  );
});

test("a checkpoint alone, as the page saves it, goes on with its last layer where the classes are the same", async () => {
  const shapes = ["--data", "shapes", "--train-limit", "32", "--test-limit", "20", "--epochs", "1"];
  const flags = [...shapes, "--width", "2", "--batch-size", "16", "--threads", "1"];
  expect((await shake("train", ...flags, "--run-dir", "page")).code).toBe(0);
  copyFileSync(join(folder, "page/checkpoints/last"), join(folder, "checkpoint"));
  const rate = ["--learning-rate", "1e-20", "--weight-decay", "0", "--seed", "2"];
  const { code, stderr } = await shake("train", ...flags, ...rate, "--init", "checkpoint", "--run-dir", "on");
  expect({ code, stderr }).toMatchObject({ code: 0 });
  const [one, other] = ["page", "on"].map((run) =>
    decodeCheckpoint(readFileSync(join(folder, run, "checkpoints/last")), run),
  );
  expect(other?.trainable.get("fc.weight")?.data).toEqual(one?.trainable.get("fc.weight")?.data);
});

test("a checkpoint with classes of its own keeps its last layer for them, whatever data set it began with", async () => {
  const { mean, std } = datasets.cifar10;
  const classNames = Array.from("abcdefghij");
  const own = tinySettings({ width: 2, classes: 10, mean, std });
  const pictures = { classNames, background: [255, 255, 255] };
  const { checkpoint } = buildTrainingArtifacts({ ...own, seed: 2 }, { pictures });
  const path = join(folder, "own-classes");
  writeFileSync(path, checkpoint);
  const initial = await readInitialCheckpoint(path);
  expect(initial.classNames).toEqual(classNames);
  expect(checkpointClasses(initial.checkpoint, path)).toEqual({ classNames });
  const fresh = buildTrainingArtifacts(own, { pictures }).checkpoint;
  const weightIn = (bytes: Uint8Array) => decodeCheckpoint(bytes).trainable.get("fc.weight")?.data;
  expect(weightIn(withInitialWeights(fresh, initial, classNames))).toEqual(weightIn(checkpoint));
  const others = withInitialWeights(fresh, initial, datasets.cifar10.classNames);
  expect(weightIn(others)).toEqual(weightIn(fresh));
});

test.each(["page", "page/graph"])(
  "--artifacts %s starts a new run with a run's last weights",
  async (given) => {
    const out = given.replace("/", "-");
    const flags = ["--train-limit", "32", "--test-limit", "20", "--epochs", "1", "--batch-size", "16"];
    const { code, stderr } = await shake(
      "train",
      "--artifacts",
      given,
      ...flags,
      "--threads",
      "1",
      "--run-dir",
      `new-${out}`,
    );
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toMatch(/is of a run: the new run starts with the weights of page\/checkpoints\/last\./);
    expect(stderr).toMatch(/epoch 1\/1/);
  },
);

test("a run that averages its weights gives a new run the averages, which are what it was tested with", async () => {
  cpSync(join(folder, "page"), join(folder, "averaged"), { recursive: true });
  const last = join(folder, "averaged/checkpoints/last");
  const checkpoint = decodeCheckpoint(readFileSync(last), last);
  const averages = new Map(
    [...checkpoint.trainable].map(([name, { dims, data }]): [string, Tensor] => [
      name,
      new Tensor("float", dims, new Float32Array(data.length).fill(0.25)),
    ]),
  );
  writeFileSync(last, encodeCheckpoint(joinAverages({ checkpoint, averages })));
  // artifacts whose checkpoint a program has replaced by its own
  cpSync(join(folder, "page/graph"), join(folder, "replaced"), { recursive: true });
  copyFileSync(last, join(folder, "replaced/checkpoint"));
  const starts = [(await readInitialCheckpoint(last)).checkpoint];
  for (const name of ["averaged", "replaced"]) {
    const { artifacts } = await openGivenArtifacts(join(folder, name));
    starts.push(decodeCheckpoint(artifacts.checkpoint));
  }
  for (const { trainable, frozen } of starts) {
    for (const [name, average] of averages) expect(trainable.get(name)?.data, name).toEqual(average.data);
    expect([...frozen.keys()]).toEqual([...checkpoint.frozen.keys()]);
  }
});

test.each([
  ["--body-rate without --init", ["--body-rate", "0.1"], /--body-rate needs --init MODEL\.onnx\./],
  ["--freeze without --init", ["--freeze", "stem*"], /--freeze needs --init MODEL\.onnx/],
  [
    "a setting of another optimizer beside --init",
    ["--init", "ten.onnx", "--sgd-rate", "2"],
    /shake: --sgd-rate is a setting of muon, not of adamw\.\n/,
  ],
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
