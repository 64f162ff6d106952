import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { UserError } from "../../../graph-builder/errors.ts";
import type { LabelledImages, Split } from "../../data/types.ts";
import { downloadFiles, type FileList } from "./download.ts";
import type { OpenedFile, PublishedDataset } from "./published.ts";

const SIDE = 28;
const CLASSES = 10;

/** The magic numbers of IDX files of bytes: 0x08 is the type, the last byte the number of axes. */
const MAGIC = { images: 0x0803, labels: 0x0801 } as const;

/** MNIST or Fashion-MNIST: pictures of 28 x 28 grey pixels in four gzipped IDX files. */
interface IdxFormat extends FileList {
  /** The folder that torchvision keeps the files in. */
  readonly torchvision: string;
}

const names = [
  "train-images-idx3-ubyte.gz",
  "train-labels-idx1-ubyte.gz",
  "t10k-images-idx3-ubyte.gz",
  "t10k-labels-idx1-ubyte.gz",
] as const;

function filesOf(...facts: readonly (readonly [bytes: number, sha256: string])[]): FileList["files"] {
  return names.map((name, i) => {
    const [bytes = 0, sha256 = ""] = facts[i] ?? [];
    return { name, bytes, sha256 };
  });
}

// sizes and SHA-256: tensorflow/datasets, url_checksums/mnist.txt and fashion_mnist.txt
const formats: Readonly<Record<"mnist" | "fashion-mnist", IdxFormat>> = {
  mnist: {
    title: "MNIST",
    url: "https://storage.googleapis.com/cvdf-datasets/mnist/",
    folder: "mnist",
    torchvision: "MNIST/raw",
    files: filesOf(
      [9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"],
      [28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"],
      [1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"],
      [4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"],
    ),
  },
  "fashion-mnist": {
    title: "Fashion-MNIST",
    url: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    folder: "fashion-mnist",
    torchvision: "FashionMNIST/raw",
    files: filesOf(
      [26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"],
      [29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"],
      [4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"],
      [5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"],
    ),
  },
};

/** MNIST or Fashion-MNIST, in its own files or in given ones of the same form. */
export function idx(
  name: keyof typeof formats,
  { url, files }: Pick<FileList, "url" | "files"> = formats[name],
): PublishedDataset {
  const { title, folder, torchvision } = formats[name];
  const parts = { train: files.slice(0, 2), test: files.slice(2) };
  return {
    title,
    folders: [folder, torchvision],
    files: parts,
    version: "its IDX files, .gz or unpacked,",
    download: (options) => downloadFiles({ title, url, folder, files }, options),
    read: async (split: Split, open, limit) => {
      const [images, labels] = parts[split];
      if (!images || !labels) throw new Error(`${title} has two files of each split`);
      return readPair(await open(images), await open(labels), limit, title);
    },
  };
}

async function readPair(
  images: OpenedFile,
  labels: OpenedFile,
  limit: number,
  title: string,
): Promise<LabelledImages> {
  const area = SIDE * SIDE;
  const pictures = await idxBody(images, MAGIC.images, [SIDE, SIDE], title);
  const numbers = await idxBody(labels, MAGIC.labels, [], title);
  const count = Math.min(limit, numbers.length);
  if (pictures.length !== area * numbers.length) {
    throw damaged(labels.path, title, `it has ${numbers.length} labels of ${pictures.length / area} images`);
  }
  const wrong = numbers.subarray(0, count).findIndex((label) => label >= CLASSES);
  if (wrong >= 0) {
    const label = numbers[wrong];
    throw damaged(labels.path, title, `image ${wrong} has label ${label}, and the largest is ${CLASSES - 1}`);
  }
  return { images: pictures.subarray(0, area * count), labels: numbers.subarray(0, count) };
}

/**
 * The values of an IDX file (yann.lecun.com/exdb/mnist): a magic number, the size of each axis as big-endian
 * 32-bit numbers, then bytes. `sizes` are those of the axes behind the first one.
 */
async function idxBody(
  { path, bytes }: OpenedFile,
  magic: number,
  sizes: readonly number[],
  title: string,
): Promise<Uint8Array> {
  const content = path.endsWith(".gz") ? await unzip(path, bytes, title) : bytes;
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const start = 8 + 4 * sizes.length;
  if (content.length < start || view.getUint32(0) !== magic) throw damaged(path, title, "it is no IDX file");
  const count = view.getUint32(4);
  const found = sizes.map((_, i) => view.getUint32(8 + 4 * i));
  if (found.join() !== sizes.join()) throw damaged(path, title, `its pictures are ${found.join(" x ")}`);
  const area = sizes.reduce((product, size) => product * size, 1);
  if (content.length === start + count * area) return content.subarray(start);
  throw damaged(path, title, `it says that it has ${count} entries, and has ${content.length} bytes`);
}

/** More than any IDX file of these data sets has, in bytes. */
const LARGEST = 1 << 28;

async function unzip(path: string, bytes: Uint8Array, title: string): Promise<Uint8Array> {
  try {
    return await promisify(gunzip)(bytes, { maxOutputLength: LARGEST });
  } catch (error) {
    throw damaged(path, title, error instanceof Error ? error.message : String(error));
  }
}

function damaged(path: string, title: string, reason: string): UserError {
  return new UserError(`${path} is not a file of ${title}: ${reason}; download it again.`, {
    code: "data-damaged",
    details: { path, reason },
  });
}
