import { stat } from "node:fs/promises";
import { join } from "node:path";
import { at } from "../../../graph-builder/at.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import type { LabelledImages, LoadOptions, Split } from "../../data/types.ts";
import { readFileBytes } from "../files.ts";
import { type Archive, type ArchiveFile, downloadArchive } from "./download.ts";

const PIXELS = 3 * 32 * 32;

/**
 * The binary version of one CIFAR: a record is `labelBytes` labels, of which the last is the class, then
 * 3,072 pixels in CHW order.
 */
interface CifarFormat {
  readonly archive: Omit<Archive, "files">;
  readonly files: Readonly<Record<Split, readonly ArchiveFile[]>>;
  readonly labelBytes: number;
  readonly classes: number;
}

// https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version"
const formats: Readonly<Record<"cifar10" | "cifar100", CifarFormat>> = {
  cifar10: {
    archive: {
      title: "CIFAR-10",
      url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
      bytes: 170_052_171,
      sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
      folder: "cifar-10-batches-bin",
    },
    files: {
      train: [1, 2, 3, 4, 5].map((n) => ({ name: `data_batch_${n}.bin`, bytes: 10_000 * (1 + PIXELS) })),
      test: [{ name: "test_batch.bin", bytes: 10_000 * (1 + PIXELS) }],
    },
    labelBytes: 1,
    classes: 10,
  },
  cifar100: {
    archive: {
      title: "CIFAR-100",
      url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
      bytes: 168_513_733,
      sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
      folder: "cifar-100-binary",
    },
    files: {
      train: [{ name: "train.bin", bytes: 50_000 * (2 + PIXELS) }],
      test: [{ name: "test.bin", bytes: 10_000 * (2 + PIXELS) }],
    },
    labelBytes: 2,
    classes: 100,
  },
};

/**
 * Reads a split of CIFAR-10, or of CIFAR-100 with its fine labels, from `dataDir` or from the user's cache,
 * where it is downloaded first if it is missing.
 * Throws a UserError that names the file where one is missing, has another size than it should or holds a
 * label out of range.
 */
export async function loadCifar(
  name: keyof typeof formats,
  { split, dataDir, limit = Number.POSITIVE_INFINITY, onProgress }: LoadOptions,
): Promise<LabelledImages> {
  const format = formats[name];
  const { archive, labelBytes, files } = format;
  const folder =
    dataDir === undefined
      ? await downloadArchive({ ...archive, files: [...files.train, ...files.test] }, { onProgress })
      : await findFolder(dataDir, archive.folder);
  const total = files[split].reduce((sum, { bytes }) => sum + bytes, 0) / (labelBytes + PIXELS);
  const count = Math.min(limit, total);
  const loaded = { images: new Uint8Array(count * PIXELS), labels: new Uint8Array(count) };
  for (const file of files[split]) await checkSize(folder, file, archive.title);
  let start = 0;
  for (const { name } of files[split]) {
    if (start < count) start += await readRecords(join(folder, name), format, start, loaded);
  }
  return loaded;
}

/** The folder of the .bin files: `dataDir` itself, or the folder in it that the archive unpacks to. */
async function findFolder(dataDir: string, archiveFolder: string): Promise<string> {
  const nested = join(dataDir, archiveFolder);
  return (await isDirectory(nested)) ? nested : dataDir;
}

async function isDirectory(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
}

async function checkSize(folder: string, { name, bytes }: ArchiveFile, title: string): Promise<void> {
  const path = join(folder, name);
  const size = await stat(path).then(
    (entry) => entry.size,
    () => undefined,
  );
  if (size === bytes) return;
  const fault = size === undefined ? "is missing" : `has ${size} bytes`;
  throw new UserError(
    `${path} ${fault} where a file of ${title} of ${bytes} bytes should be: give the folder of its binary version with --data-dir.`,
    { code: "data-missing" },
  );
}

/** Copies the records of a file after those already loaded, up to the limit. Returns their number. */
async function readRecords(
  path: string,
  { archive, labelBytes, classes }: CifarFormat,
  start: number,
  { images, labels }: LabelledImages,
): Promise<number> {
  const bytes = await readFileBytes(path);
  const recordBytes = labelBytes + PIXELS;
  const count = Math.min(bytes.length / recordBytes, labels.length - start);
  for (let i = 0; i < count; i++) {
    const pixels = i * recordBytes + labelBytes;
    const label = at(bytes, pixels - 1);
    if (label >= classes) {
      throw new UserError(
        `${path} is not a file of ${archive.title}: image ${i} has label ${label}, and the largest is ${classes - 1}; download the binary version again.`,
        { code: "data-damaged" },
      );
    }
    labels[start + i] = label;
    images.set(bytes.subarray(pixels, pixels + PIXELS), (start + i) * PIXELS);
  }
  return count;
}
