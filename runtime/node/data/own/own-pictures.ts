import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { at } from "../../../../graph-builder/at.ts";
import { didYouMean, UserError } from "../../../../graph-builder/errors.ts";
import { datasetNames } from "../../../data/dataset.ts";
import type { ImageSize, LabelledImages } from "../../../data/types.ts";
import { pixelsOf } from "../../../data/types.ts";
import { isThere } from "../../files.ts";
import { isArchive, unpackPictures } from "./archive.ts";
import { listCsv } from "./csv.ts";
import { classesOf, type DivisionOptions, divide } from "./division.ts";
import { listFolder, missing, type PictureListing, type PictureSplit } from "./listing.ts";
import type { Pack, PackedPicture } from "./pack.ts";
import { type PackingOptions, packPictures } from "./packing.ts";

/** The share of broken pictures above which a data set is refused. */
const mostBroken = 0.1;

/** The pictures of one's own that a path names: a folder, an archive of one, or a CSV file. */
export interface ListedPictures extends PictureListing {
  /** The absolute path. */
  readonly path: string;
}

/**
 * Lists the pictures of a folder, of a .zip, .tar or .tar.gz of one, or of a CSV file. Throws UserError where
 * they are missing or have no classes.
 */
export async function listPictures(data: string): Promise<ListedPictures> {
  const path = resolve(data);
  const found = await stat(path).catch(() => undefined);
  if (!found) throw missing(path);
  if (found.isDirectory()) return { path, ...(await listFolder(path)) };
  if (isArchive(path)) return { path, ...(await listFolder(await unpackPictures(path), path)) };
  if (/\.csv$/i.test(path)) return { path, ...(await listCsv(path)) };
  throw new UserError(
    `${data} is neither a folder of pictures, a .zip or .tar of one, nor a .csv file of path,label.`,
    { code: "data-invalid", details: { path } },
  );
}

/**
 * The absolute path of pictures of one's own; undefined for the name of a known data set. Throws UserError
 * for a text that is neither.
 */
export async function ownDataPath(data: string): Promise<string | undefined> {
  if (datasetNames.some((name) => name === data)) return undefined;
  if (await isThere(data)) return resolve(data);
  throw new UserError(
    `--data must be one of ${datasetNames.join(", ")} or the path of pictures that exists, not ${data}.${didYouMean(data, datasetNames)}`,
    { code: "data-unknown", details: { setting: "data", value: data } },
  );
}

/** A picture of one's own, decoded. */
export interface OwnPicture extends PackedPicture {
  /** The path relative to the data set. */
  readonly name: string;
  readonly label: string;
  readonly split: PictureSplit;
  /** The row of its pixels in the pack. */
  readonly row: number;
}

/** How pictures of one's own are read. */
export interface OwnPicturesOptions extends PackingOptions, DivisionOptions {
  /** The classes of a model, in its order; those of the training pictures where left out. */
  readonly classNames?: readonly string[] | undefined;
}

/** Pictures of one's own, decoded in one size. */
export class OwnPictures {
  readonly path: string;
  readonly size: ImageSize;
  readonly classNames: readonly string[];
  /** Sentences about what is left out. */
  readonly notices: readonly string[];
  /** Whether the data set says which pictures are of validation. */
  readonly isDivided: boolean;
  readonly pictures: readonly OwnPicture[];
  readonly #pack: Pack;

  private constructor(
    listing: ListedPictures,
    classNames: readonly string[],
    pictures: readonly OwnPicture[],
    pack: Pack,
  ) {
    this.path = listing.path;
    this.notices = listing.notices;
    this.isDivided = listing.pictures.some(({ split }) => split !== undefined);
    this.classNames = classNames;
    this.size = pack.index.size;
    this.pictures = pictures;
    this.#pack = pack;
  }

  /** Decodes what is not decoded yet. Throws UserError for classes that do not fit. */
  static async open(listing: ListedPictures, options: OwnPicturesOptions): Promise<OwnPictures> {
    const classNames = classesOf(listing, listing.path, options.classNames);
    const pack = await packPictures(listing.path, listing.pictures, options);
    const packed = new Map(pack.index.pictures.map((picture, row) => [picture.path, { ...picture, row }]));
    const hashed = listing.pictures.map((picture) => ({ ...picture, ...packedOf(packed, picture.path) }));
    const splits = divide(hashed, options);
    const pictures = hashed.map((picture, i) => ({ ...picture, split: splits[i] ?? "train" }));
    return new OwnPictures(listing, classNames, pictures, pack);
  }

  /** The colour behind transparent pictures. */
  get background(): readonly number[] {
    return this.#pack.index.background;
  }

  /** The pictures that cannot be read. */
  get broken(): readonly OwnPicture[] {
    return this.pictures.filter(({ fault }) => fault !== undefined);
  }

  /**
   * The pictures of a split, or of all splits, that can be read, in an order that depends on their contents
   * alone.
   */
  split(split?: PictureSplit): readonly OwnPicture[] {
    return this.pictures
      .filter((picture) => (split === undefined || picture.split === split) && picture.fault === undefined)
      .sort((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : a.label < b.label ? -1 : 1));
  }

  /** The number of pictures of each class in a split. */
  counts(split: PictureSplit): readonly number[] {
    const counts = new Map(this.classNames.map((name) => [name, 0]));
    for (const { label } of this.split(split)) counts.set(label, (counts.get(label) ?? 0) + 1);
    return this.classNames.map((name) => counts.get(name) ?? 0);
  }

  /**
   * Throws UserError where more than a tenth of the pictures are broken, where a class has no training
   * picture that can be read, and where nothing is left to measure on.
   */
  expectTrainable(): void {
    this.expectReadable();
    const empty = this.counts("train").indexOf(0);
    const name = this.classNames[empty];
    if (name !== undefined) throw this.#wrong(`The class ${name} has no training picture that can be read.`);
    if (this.split("val").length > 0) return;
    throw this.#wrong(
      "There are no validation pictures: give a folder val beside train, or --val-split above 0.",
    );
  }

  /** Throws UserError where more than a tenth of the pictures are broken. */
  expectReadable(): void {
    const { broken, pictures } = this;
    if (broken.length <= mostBroken * pictures.length) return;
    const [first] = broken;
    throw this.#wrong(
      `${broken.length} of ${pictures.length} pictures cannot be read, such as ${first?.name} (${first?.fault}): shake data lists them.`,
    );
  }

  #wrong(sentence: string): UserError {
    return new UserError(`${this.path}: ${sentence}`, { code: "data-invalid", details: { path: this.path } });
  }

  /**
   * The pixels and labels of a split or of all, or of its first `limit` pictures. Throws UserError for more
   * pixels than one array holds.
   */
  async load(split: PictureSplit | undefined, limit?: number): Promise<LabelledImages> {
    const pictures = this.split(split).slice(0, limit);
    const bytes = pixelsOf(this.size);
    const images = memoryFor(pictures.length, this.size, this.path);
    const index = new Map(this.classNames.map((name, i) => [name, i]));
    const numbers = pictures.map(({ label, name }) => {
      const number = index.get(label);
      if (number === undefined) throw new RangeError(`${name} is of no class`);
      return number;
    });
    const labels = this.classNames.length > 256 ? Uint16Array.from(numbers) : Uint8Array.from(numbers);
    // neighbours in the pack are read in one call
    for (let first = 0; first < pictures.length; ) {
      const { row } = at(pictures, first);
      let end = first + 1;
      while (pictures[end]?.row === row + end - first) end++;
      await this.#pack.read(row, end - first, images.subarray(first * bytes, end * bytes));
      first = end;
    }
    return { images, labels };
  }

  /** The pixels of a picture, uint8 [channels, height, width]. */
  async pixels({ row }: OwnPicture): Promise<Uint8Array> {
    const out = new Uint8Array(pixelsOf(this.size));
    await this.#pack.read(row, 1, out);
    return out;
  }

  /** Closes the file of the decoded pictures, after which none can be read. */
  close(): Promise<void> {
    return this.#pack.close();
  }
}

/** Memory for decoded pictures. Throws UserError, naming `path`, for more than one array holds. */
export function memoryFor(count: number, size: ImageSize, path: string): Uint8Array {
  const bytes = count * pixelsOf(size);
  try {
    return new Uint8Array(bytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const { channels, height, width } = size;
    throw new UserError(
      `${path}: ${count.toLocaleString("en-US")} pictures of ${channels} x ${height} x ${width} take ${(bytes / 1e9).toFixed(1)} GB of memory, which is more than there is room for: take fewer pictures, or smaller ones (--image-size).`,
      { code: "data-invalid", details: { path, count, size, bytes }, cause: error },
    );
  }
}

function packedOf<P>(packed: ReadonlyMap<string, P>, path: string): P {
  const found = packed.get(path);
  if (!found) throw new RangeError(`the pack has no row of ${path}`);
  return found;
}
