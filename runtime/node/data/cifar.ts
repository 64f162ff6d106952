import { createHash } from "node:crypto";
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

/** A file of CIFAR-10. */
function batch(name: string, sha256: string): ArchiveFile {
  return { name, bytes: 10_000 * (1 + PIXELS), sha256 };
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
      train: [
        batch("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        batch("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        batch("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        batch("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        batch("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
      ],
      test: [batch("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b")],
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
      train: [
        {
          name: "train.bin",
          bytes: 50_000 * (2 + PIXELS),
          sha256: "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
        },
      ],
      test: [
        {
          name: "test.bin",
          bytes: 10_000 * (2 + PIXELS),
          sha256: "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
        },
      ],
    },
    labelBytes: 2,
    classes: 100,
  },
};

/**
 * Reads a split of CIFAR-10, or of CIFAR-100 with its fine labels, from `dataDir` or from the user's cache,
 * where it is downloaded first if it is missing. A file of the cache that is not the published one is
 * downloaded again; one of `dataDir` is used as it is. Both are told to `onNote`.
 * Throws a UserError that names the file where one is missing, has another size than it should or holds a
 * label out of range.
 */
export async function loadCifar(
  name: keyof typeof formats,
  { split, dataDir, limit = Number.POSITIVE_INFINITY, onProgress, onNote }: LoadOptions,
): Promise<LabelledImages> {
  const format = formats[name];
  const { title, folder: archiveFolder } = format.archive;
  if (dataDir !== undefined) {
    const folder = await findFolder(dataDir, archiveFolder);
    const altered: string[] = [];
    const loaded = await readSplit(folder, format, split, limit, (file) => altered.push(file));
    if (altered.length > 0)
      onNote?.(`Not as published for ${title}, and used all the same: ${altered.join(", ")} in ${folder}.`);
    return loaded;
  }
  const archive = { ...format.archive, files: [...format.files.train, ...format.files.test] };
  const folder = await downloadArchive(archive, { onProgress });
  try {
    return await readSplit(folder, format, split, limit, refuseAltered);
  } catch (error) {
    if (!(error instanceof AlteredFile)) throw error;
    onNote?.(`${join(folder, error.message)} is not as published for ${title}: it is downloaded again.`);
  }
  await downloadArchive(archive, { onProgress, check: "sha256" });
  return readSplit(folder, format, split, limit, refuseAltered);
}

/** A file of the cache has changed since it was unpacked; the message is its name. */
class AlteredFile extends Error {}

function refuseAltered(file: string): never {
  throw new AlteredFile(file);
}

/** Reads the records of a split up to a limit; `onAltered` is called with each file of another SHA-256. */
async function readSplit(
  folder: string,
  format: CifarFormat,
  split: Split,
  limit: number,
  onAltered: (file: string) => void,
): Promise<LabelledImages> {
  const { archive, labelBytes } = format;
  const files = format.files[split];
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0) / (labelBytes + PIXELS);
  const count = Math.min(limit, total);
  const loaded = { images: new Uint8Array(count * PIXELS), labels: new Uint8Array(count) };
  for (const file of files) await checkSize(folder, file, archive.title);
  let start = 0;
  for (const { name, sha256 } of files) {
    if (start >= count) break;
    const path = join(folder, name);
    const bytes = await readFileBytes(path);
    if (createHash("sha256").update(bytes).digest("hex") !== sha256) onAltered(name);
    start += copyRecords(bytes, path, format, start, loaded);
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
function copyRecords(
  bytes: Uint8Array,
  path: string,
  { archive, labelBytes, classes }: CifarFormat,
  start: number,
  { images, labels }: LabelledImages,
): number {
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
