import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { create } from "tar";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { datasets } from "../../../../runtime/data/dataset.ts";
import { idx } from "../../../../runtime/node/data/idx.ts";
import { loadPublished } from "../../../../runtime/node/data/published.ts";
import { stl10 } from "../../../../runtime/node/data/stl10.ts";
import { loadDataset } from "../../../../runtime/node/index.ts";
import { idxFile, mnistFiles } from "../../../support/idx-files.ts";
import { portOf } from "../../../support/port.ts";
import { messageOf } from "../../../support/user-error.ts";

let folder: string;
let server: Server | undefined;
const asked: string[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "shakenet-published-"));
  vi.stubEnv("SHAKE_CACHE_DIR", join(folder, "cache"));
  asked.length = 0;
});

afterEach(async () => {
  vi.unstubAllEnvs();
  server?.close();
  server = undefined;
  await rm(folder, { recursive: true });
});

/** Serves contents by their names. Returns the address of the folder they are in. */
async function publish(contents: Readonly<Record<string, Uint8Array>>): Promise<string> {
  const made = createServer((request, response) => {
    const name = request.url?.slice(1) ?? "";
    asked.push(name);
    const content = contents[name];
    response.writeHead(content ? 200 : 404, { "content-length": content?.length ?? 0 });
    response.end(content);
  });
  server = made;
  await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${portOf(made)}/`;
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function gzipped(contents: Readonly<Record<string, Buffer>>): Record<string, Buffer> {
  return Object.fromEntries(Object.entries(contents).map(([name, bytes]) => [`${name}.gz`, gzipSync(bytes)]));
}

function listed(contents: Readonly<Record<string, Buffer>>) {
  return Object.entries(contents).map(([name, bytes]) => ({
    name,
    bytes: bytes.length,
    sha256: sha256(bytes),
  }));
}

describe("MNIST's files", () => {
  test("are downloaded one by one, checked, and read as grey pictures of 28 x 28", async () => {
    const contents = gzipped(mnistFiles(12, 3));
    const url = await publish(contents);
    const seen: number[] = [];
    const own = idx("mnist", { url, files: listed(contents) });
    const onProgress = (received: number) => seen.push(received);
    const { images, labels } = await loadPublished(own, { split: "train", onProgress });
    expect([...labels]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    expect([images[0], images[783], images[784], images.length]).toEqual([0, 0, 1, 12 * 784]);
    expect(seen.at(-1)).toBe(Object.values(contents).reduce((sum, { length }) => sum + length, 0));
    expect(asked).toEqual(Object.keys(contents));
    const again = await loadPublished(own, { split: "test", limit: 2 });
    expect([...again.labels]).toEqual([0, 1]);
    expect(asked).toHaveLength(4);
    expect((await readdir(join(folder, "cache", "mnist"))).sort()).toEqual(Object.keys(contents).sort());
  });

  test("of the cache that have changed are downloaded again", async () => {
    const contents = gzipped(mnistFiles(4, 3));
    const own = idx("mnist", { url: await publish(contents), files: listed(contents) });
    await loadPublished(own, { split: "test" });
    const path = join(folder, "cache", "mnist", "t10k-labels-idx1-ubyte.gz");
    const altered = await readFile(path);
    altered[altered.length - 1] = 255;
    await writeFile(path, altered);
    const notes: string[] = [];
    const { labels } = await loadPublished(own, { split: "test", onNote: (note) => notes.push(note) });
    expect([...labels]).toEqual([0, 1, 2]);
    expect(notes).toEqual([`${path} is not as published for MNIST: it is downloaded again.`]);
    expect(asked.slice(4)).toEqual(["t10k-labels-idx1-ubyte.gz"]);
  });

  test("with another SHA-256 are refused and not kept", async () => {
    const contents = gzipped(mnistFiles(4, 3));
    const files = listed(contents).map((file) => ({ ...file, sha256: "0".repeat(64) }));
    const own = idx("mnist", { url: await publish(contents), files });
    const message = await messageOf(loadPublished(own, { split: "test" }));
    expect(message).toMatch(
      /train-images-idx3-ubyte\.gz is not MNIST: its SHA-256 is [0-9a-f]{64}, not 0{64}/,
    );
    expect(await readdir(join(folder, "cache", "mnist"))).toEqual([]);
  });

  test("that were unpacked are read from torchvision's folder", async () => {
    const raw = join(folder, "MNIST", "raw");
    await mkdir(raw, { recursive: true });
    const contents = mnistFiles(4, 11);
    for (const [name, bytes] of Object.entries(contents)) await writeFile(join(raw, name), bytes);
    const { labels, size } = await loadDataset("mnist", { split: "test", dataDir: folder });
    expect(labels).toHaveLength(11);
    expect(size).toEqual({ channels: 1, height: 28, width: 28 });
  });

  test.each([
    [
      "no IDX file",
      { "t10k-labels-idx1-ubyte": Buffer.from("hello, world") },
      /labels-idx1-ubyte is not a file of MNIST: it is no IDX file/,
    ],
    [
      "a cut-off file",
      {
        "t10k-images-idx3-ubyte": mnistFiles(1, 3)["t10k-images-idx3-ubyte"]?.subarray(0, 100) ?? Buffer.of(),
      },
      /it says that it has 3 entries, and has 100 bytes/,
    ],
    [
      "a label out of range",
      { "t10k-labels-idx1-ubyte": idxFile([3], Uint8Array.of(1, 10, 2)) },
      /image 1 has label 10, and the largest is 9/,
    ],
    [
      "pictures of another size",
      { "t10k-images-idx3-ubyte": idxFile([3, 32, 32], new Uint8Array(3072)) },
      /its pictures are 32 x 32/,
    ],
    [
      "other labels than pictures",
      { "t10k-labels-idx1-ubyte": idxFile([2], Uint8Array.of(1, 2)) },
      /it has 2 labels of 3 images/,
    ],
  ])("with %s are refused by their name", async (_, wrong, message) => {
    for (const [name, bytes] of Object.entries({ ...mnistFiles(1, 3), ...wrong }))
      await writeFile(join(folder, name), bytes);
    expect(await messageOf(loadDataset("mnist", { split: "test", dataDir: folder }))).toMatch(message);
  });

  test("that are missing are named, with what --data-dir must have", async () => {
    expect(await messageOf(loadDataset("fashion-mnist", { split: "train", dataDir: folder }))).toBe(
      `${join(folder, "train-images-idx3-ubyte.gz")} is missing where a file of Fashion-MNIST of 26421880 bytes should be: give the folder of its IDX files, .gz or unpacked, with --data-dir.`,
    );
  });
});

const PIXELS = 3 * 96 * 96;

/** Pictures of STL-10's binary form: the value of a pixel is its column, and one more in each channel. */
function stlFiles(train: number, held: number): Record<string, Buffer> {
  const pictures = (count: number) =>
    Buffer.from(
      Uint8Array.from({ length: count * PIXELS }, (_, i) => {
        const place = i % (96 * 96);
        return Math.floor(place / 96) + (Math.floor(i / (96 * 96)) % 3);
      }),
    );
  const labels = (count: number) => Buffer.from(Uint8Array.from({ length: count }, (_, i) => 1 + (i % 10)));
  return {
    "train_X.bin": pictures(train),
    "train_y.bin": labels(train),
    "test_X.bin": pictures(held),
    "test_y.bin": labels(held),
  };
}

async function stlArchive(contents: Readonly<Record<string, Buffer>>) {
  const source = join(folder, "source", "stl10_binary");
  await mkdir(source, { recursive: true });
  for (const [name, bytes] of Object.entries(contents)) await writeFile(join(source, name), bytes);
  await writeFile(join(source, "unlabeled_X.bin"), "not wanted");
  const file = join(folder, "stl.tar.gz");
  await create({ file, gzip: true, cwd: join(folder, "source") }, ["stl10_binary"]);
  const archive = await readFile(file);
  const md5 = (bytes: Buffer) => createHash("md5").update(bytes).digest("hex");
  const own = listed(contents).map(({ name, bytes }) => ({
    name,
    bytes,
    md5: md5(contents[name] ?? Buffer.of()),
  }));
  const url = `${await publish({ "stl.tar.gz": archive })}stl.tar.gz`;
  const files = { train: own.slice(0, 2), test: own.slice(2) };
  return stl10({ url, bytes: archive.length, sha256: sha256(archive) }, files);
}

describe("STL-10's files", () => {
  test("are unpacked without the unlabelled pictures; columns become rows, and labels start at 0", async () => {
    const own = await stlArchive(stlFiles(11, 2));
    const { images, labels } = await loadPublished(own, { split: "train" });
    expect([...labels]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
    const at = (channel: number, row: number, column: number) =>
      images[10 * PIXELS + channel * 96 * 96 + row * 96 + column];
    expect([at(0, 0, 5), at(0, 5, 0), at(2, 7, 90)]).toEqual([5, 0, 92]);
    expect((await readdir(join(folder, "cache", "stl10_binary"))).sort()).toEqual([
      "test_X.bin",
      "test_y.bin",
      "train_X.bin",
      "train_y.bin",
    ]);
    const two = await loadPublished(own, { split: "train", limit: 2 });
    expect([two.images.length, two.labels.length]).toEqual([2 * PIXELS, 2]);
  });

  test("with a label that is no class are refused", async () => {
    const contents = stlFiles(1, 3);
    const own = await stlArchive({ ...contents, "test_y.bin": Buffer.of(1, 0, 2) });
    expect(await messageOf(loadPublished(own, { split: "test" }))).toMatch(
      /test_y\.bin is not a file of STL-10: image 1 has label 0, and labels are 1 to 10/,
    );
  });
});

test.each([
  ["mnist", "MNIST", [1, 28, 28], 70_000],
  ["fashion-mnist", "Fashion-MNIST", [1, 28, 28], 70_000],
  ["stl10", "STL-10", [3, 96, 96], 13_000],
] as const)("%s has its published facts", (name, title, dims, images) => {
  const { size, classNames, mean, std, counts, ...rest } = datasets[name];
  expect(rest.title).toBe(title);
  expect([size.channels, size.height, size.width]).toEqual(dims);
  expect(counts.train + counts.test).toBe(images);
  expect(new Set(classNames).size).toBe(10);
  expect([mean.length, std.length]).toEqual([size.channels, size.channels]);
});
