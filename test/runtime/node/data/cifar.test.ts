import { createHash } from "node:crypto";
import { link, mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { datasets } from "../../../../runtime/data/dataset.ts";
import { datasetDigest, loadDataset } from "../../../../runtime/node/index.ts";
import { cifar10Dir, testWithCifar10 } from "../../../support/cifar10.ts";
import { messageOf } from "../../../support/user-error.ts";

const PIXELS = 3 * 32 * 32;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "shakenet-cifar-"));
});

afterAll(() => rm(folder, { recursive: true }));

/**
 * A file of 10,000 records: image i has label i mod 10 (coarse label 19 before it, if any) and every pixel i
 * mod 251.
 */
function records(labelBytes: 1 | 2): Uint8Array {
  const size = labelBytes + PIXELS;
  const bytes = new Uint8Array(10_000 * size).fill(19);
  for (let i = 0; i < 10_000; i++) {
    bytes[i * size + labelBytes - 1] = i % 10;
    bytes.fill(i % 251, i * size + labelBytes, (i + 1) * size);
  }
  return bytes;
}

/** Writes a file into a new folder and returns that folder. */
async function folderWith(name: string, bytes: Uint8Array): Promise<string> {
  const created = await mkdtemp(join(folder, "data-"));
  await writeFile(join(created, name), bytes);
  return created;
}

describe("loadDataset of CIFAR", () => {
  test("reads CIFAR-10's labels and pixels, record by record", async () => {
    const dataDir = await folderWith("test_batch.bin", records(1));
    const { images, labels, count, ...rest } = await loadDataset("cifar10", { split: "test", dataDir });
    const { classNames, size, mean, std } = datasets.cifar10;
    expect(rest).toEqual({ name: "cifar10", classNames, size, mean, std });
    expect(count).toBe(10_000);
    expect([...labels.subarray(0, 12)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    expect([images[0], images[PIXELS - 1], images[PIXELS], images[300 * PIXELS]]).toEqual([
      0,
      0,
      1,
      300 - 251,
    ]);
    expect(images).toHaveLength(10_000 * PIXELS);
  });

  test("takes CIFAR-100's fine label and skips the coarse one", async () => {
    const dataDir = await folderWith("test.bin", records(2));
    const { images, labels } = await loadDataset("cifar100", { split: "test", dataDir, limit: 12 });
    expect([...labels]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    expect([images[0], images[PIXELS - 1], images[PIXELS]]).toEqual([0, 0, 1]);
  });

  test("joins the five training files in order, and a limit stops where it says", async () => {
    const dataDir = await folderWith("data_batch_1.bin", records(1));
    for (const n of [2, 3, 4, 5])
      await link(join(dataDir, "data_batch_1.bin"), join(dataDir, `data_batch_${n}.bin`));
    const { images, labels } = await loadDataset("cifar10", { split: "train", dataDir, limit: 10_003 });
    expect(labels).toHaveLength(10_003);
    expect([...labels.subarray(9_998)]).toEqual([8, 9, 0, 1, 2]);
    expect(images[10_002 * PIXELS]).toBe(2);
    const { count } = await loadDataset("cifar10", { split: "train", dataDir, limit: 60_000 });
    expect(count).toBe(50_000);
  });

  test("finds the files in the archive's folder inside the one given", async () => {
    const dataDir = await mkdtemp(join(folder, "parent-"));
    await mkdir(join(dataDir, "cifar-10-batches-bin"));
    await writeFile(join(dataDir, "cifar-10-batches-bin", "test_batch.bin"), records(1));
    expect((await loadDataset("cifar10", { split: "test", dataDir, limit: 3 })).count).toBe(3);
  });

  test("a missing file is refused by its name and size", async () => {
    const dataDir = await folderWith("test_batch.bin", records(1));
    const message = await messageOf(loadDataset("cifar10", { split: "train", dataDir }));
    expect(message).toBe(
      `${join(dataDir, "data_batch_1.bin")} is missing where a file of CIFAR-10 of 30730000 bytes should be: give the folder of its binary version with --data-dir.`,
    );
  });

  test("a cut-off file is refused by its name and size, even where a limit would not reach the cut", async () => {
    const dataDir = await folderWith("test_batch.bin", records(1));
    await truncate(join(dataDir, "test_batch.bin"), 30_000_000);
    const message = await messageOf(loadDataset("cifar10", { split: "test", dataDir, limit: 3 }));
    expect(message).toContain(`${join(dataDir, "test_batch.bin")} has 30000000 bytes`);
    expect(message).toContain("30730000 bytes should be");
  });

  test("CIFAR-10's file in the place of CIFAR-100's is refused by its size", async () => {
    const dataDir = await folderWith("test.bin", records(1));
    const message = await messageOf(loadDataset("cifar100", { split: "test", dataDir }));
    expect(message).toMatch(
      /test\.bin has 30730000 bytes where a file of CIFAR-100 of 30740000 bytes should be/,
    );
  });

  test("a file of the right size with a label out of range is refused by its name", async () => {
    const bytes = records(1);
    bytes[7 * (1 + PIXELS)] = 10;
    const dataDir = await folderWith("test_batch.bin", bytes);
    const message = await messageOf(loadDataset("cifar10", { split: "test", dataDir }));
    expect(message).toMatch(
      /test_batch\.bin is not a file of CIFAR-10: image 7 has label 10, and the largest is 9/,
    );
  });

  test("a file of --data-dir that is not the published one is used, and told of in one line", async () => {
    const dataDir = await folderWith("test_batch.bin", records(1));
    const notes: string[] = [];
    const onNote = (note: string) => notes.push(note);
    const { count } = await loadDataset("cifar10", { split: "test", dataDir, limit: 3, onNote });
    expect(count).toBe(3);
    expect(notes).toEqual([
      `Not as published for CIFAR-10, and used all the same: test_batch.bin in ${dataDir}.`,
    ]);
  });

  test("a file of the cache that is not the published one is downloaded again, and never used", async () => {
    const cache = await mkdtemp(join(folder, "cache-"));
    const own = join(cache, "cifar-10-batches-bin");
    await mkdir(own);
    await writeFile(join(own, "test_batch.bin"), records(1));
    for (const n of [1, 2, 3, 4, 5])
      await link(join(own, "test_batch.bin"), join(own, `data_batch_${n}.bin`));
    vi.stubEnv("SHAKE_CACHE_DIR", cache);
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("no network here")));
    const notes: string[] = [];
    const onNote = (note: string) => notes.push(note);
    const message = await messageOf(loadDataset("cifar10", { split: "test", limit: 3, onNote }));
    vi.unstubAllEnvs();
    vi.unstubAllGlobals();
    expect(notes).toEqual([
      `${join(own, "test_batch.bin")} is not as published for CIFAR-10: it is downloaded again.`,
    ]);
    expect(message).toMatch(/^CIFAR-10 could not be downloaded from .* \(no network here after 0 of/);
  });

  test.each([0, -1, 2.5, Number.NaN])("a limit of %d is refused", async (limit) => {
    const message = await messageOf(loadDataset("shapes", { split: "test", limit }));
    expect(message).toBe(`The limit of images must be a positive integer, not ${limit}.`);
  });
});

describe("the real CIFAR-10", () => {
  testWithCifar10(
    "has 5,000 training and 1,000 test images of each class, and the published statistics",
    async () => {
      const onNote = (note: string) => expect.fail(note);
      const train = await loadDataset("cifar10", { split: "train", dataDir: cifar10Dir, onNote });
      const held = await loadDataset("cifar10", { split: "test", dataDir: cifar10Dir, onNote });
      const perClass = (labels: Iterable<number>) =>
        train.classNames.map((_, c) => [...labels].filter((l) => l === c).length);
      expect(perClass(train.labels)).toEqual(new Array(10).fill(5_000));
      expect(perClass(held.labels)).toEqual(new Array(10).fill(1_000));
      train.mean.forEach((mean, channel) => {
        let sum = 0;
        for (let image = 0; image < train.count; image++) {
          const start = image * PIXELS + channel * 1024;
          for (let i = start; i < start + 1024; i++) sum += train.images[i] ?? 0;
        }
        expect(sum / (train.count * 1024)).toBeCloseTo(mean, 1);
      });
    },
  );

  testWithCifar10("has the digest of its own file, and is found from the parent folder too", async () => {
    const parent = await mkdtemp(join(folder, "parent-"));
    await symlink(cifar10Dir, join(parent, "cifar-10-batches-bin"));
    const held = await loadDataset("cifar10", { split: "test", dataDir: parent });
    const file = await readFile(join(cifar10Dir, "test_batch.bin"));
    expect(datasetDigest(held)).toBe(createHash("sha256").update(file).digest("hex"));
  });
});
