import { at } from "../../../graph-builder/at.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import type { Split } from "../../data/types.ts";
import { type Archive, downloadArchive } from "./download.ts";
import type { OpenedFile, PublishedDataset } from "./published.ts";
import type { PublishedFile } from "./transfer.ts";

const SIDE = 96;
const PIXELS = 3 * SIDE * SIDE;
const CLASSES = 10;

// https://cs.stanford.edu/~acoates/stl10; SHA-256: tensorflow/datasets, url_checksums/stl10.txt
const archive: Omit<Archive, "files"> = {
  title: "STL-10",
  url: "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
  bytes: 2_640_397_119,
  sha256: "f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866",
  folder: "stl10_binary",
};

// MD5: pytorch/vision, torchvision/datasets/stl10.py
const files: Readonly<Record<Split, readonly PublishedFile[]>> = {
  train: [
    { name: "train_X.bin", bytes: 5_000 * PIXELS, md5: "918c2871b30a85fa023e0c44e0bee87f" },
    { name: "train_y.bin", bytes: 5_000, md5: "5a34089d4802c674881badbb80307741" },
  ],
  test: [
    { name: "test_X.bin", bytes: 8_000 * PIXELS, md5: "7f263ba9f9e0b06b93213547f721ac82" },
    { name: "test_y.bin", bytes: 8_000, md5: "36f9794fa4beb8a2c72628de14fa638e" },
  ],
};

/**
 * The labelled pictures of STL-10, in its own files or in given ones of the same form. The binary files hold
 * each channel of a picture column by column, and labels from 1 on.
 */
export function stl10(
  published: Pick<Archive, "url" | "bytes" | "sha256"> = archive,
  own = files,
): PublishedDataset {
  const { title, folder } = archive;
  return {
    title,
    folders: [folder],
    files: own,
    version: "its binary version",
    download: (options) =>
      downloadArchive({ ...published, title, folder, files: [...own.train, ...own.test] }, options),
    read: async (split, open, limit) => {
      const [images, labels] = own[split];
      if (!images || !labels) throw new Error(`${title} has two files of each split`);
      const classes = labelsOf(await open(labels), limit);
      const { bytes } = await open(images);
      const pictures = bytes.subarray(0, classes.length * PIXELS);
      for (let plane = 0; plane < pictures.length; plane += SIDE * SIDE) {
        transpose(pictures.subarray(plane, plane + SIDE * SIDE));
      }
      return { images: pictures, labels: classes };
    },
  };
}

function labelsOf({ path, bytes }: OpenedFile, limit: number): Uint8Array {
  const labels = bytes.subarray(0, Math.min(limit, bytes.length));
  const wrong = labels.findIndex((label) => label < 1 || label > CLASSES);
  if (wrong < 0) return labels.map((label) => label - 1);
  throw new UserError(
    `${path} is not a file of STL-10: image ${wrong} has label ${labels[wrong]}, and labels are 1 to ${CLASSES}; download the binary version again.`,
    { code: "data-damaged", details: { path } },
  );
}

/** Swaps rows and columns of a channel, in its place. */
function transpose(plane: Uint8Array): void {
  for (let row = 1; row < SIDE; row++) {
    for (let column = 0; column < row; column++) {
      const [one, other] = [row * SIDE + column, column * SIDE + row];
      const value = at(plane, one);
      plane[one] = at(plane, other);
      plane[other] = value;
    }
  }
}
