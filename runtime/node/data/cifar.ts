import { at } from "../../../graph-builder/at.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import type { LabelledImages, Split } from "../../data/types.ts";
import { type Archive, downloadArchive } from "./download.ts";
import type { PublishedDataset } from "./published.ts";
import type { PublishedFile } from "./transfer.ts";

const PIXELS = 3 * 32 * 32;

/**
 * The binary version of one CIFAR: a record is `labelBytes` labels, of which the last is the class, then
 * 3,072 pixels in CHW order.
 */
interface CifarFormat {
  readonly archive: Omit<Archive, "files">;
  readonly files: Readonly<Record<Split, readonly PublishedFile[]>>;
  readonly labelBytes: number;
  readonly classes: number;
}

/** A file of CIFAR-10. */
function batch(name: string, sha256: string): PublishedFile {
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

/** CIFAR-10, or CIFAR-100 with its fine labels. */
export function cifar(name: keyof typeof formats): PublishedDataset {
  const format = formats[name];
  const { archive, files, labelBytes } = format;
  return {
    title: archive.title,
    folders: [archive.folder],
    files,
    version: "its binary version",
    download: (options) => downloadArchive({ ...archive, files: [...files.train, ...files.test] }, options),
    read: async (split, open, limit) => {
      const total = files[split].reduce((sum, { bytes }) => sum + bytes, 0) / (labelBytes + PIXELS);
      const count = Math.min(limit, total);
      const loaded = { images: new Uint8Array(count * PIXELS), labels: new Uint8Array(count) };
      let start = 0;
      for (const file of files[split]) {
        if (start >= count) break;
        const { path, bytes } = await open(file);
        start += copyRecords(bytes, path, format, start, loaded);
      }
      return loaded;
    },
  };
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
