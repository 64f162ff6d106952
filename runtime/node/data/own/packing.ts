import { createHash } from "node:crypto";
import { readFile, rm, stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { errorCode, readFileBytes, reasonOf } from "../../../../artifacts/read-file.ts";
import { at } from "../../../../graph-builder/at.ts";
import { UserError } from "../../../../graph-builder/errors.ts";
import { type ImageSize, pixelsOf } from "../../../data/types.ts";
import { shrinkCache } from "../../cache-folder.ts";
import { type Colour, decodePicture } from "../pictures.ts";
import { cacheLimit, picturesCache } from "./cache.ts";
import type { ListedPicture } from "./listing.ts";
import {
  Pack,
  type PackedPicture,
  type PackWriter,
  packPartPath,
  packPath,
  packsOf,
  writePack,
} from "./pack.ts";

/** How pictures are decoded. */
export interface PackingOptions {
  readonly size: ImageSize;
  /** The colour behind transparent pictures; the mean colour of the others where left out. */
  readonly background?: Colour | undefined;
  readonly onProgress?: ((done: number, of: number) => void) | undefined;
  /** Called while the files are compared with what is decoded already. */
  readonly onCompared?: ((done: number, of: number) => void) | undefined;
  /**
   * How many of many new pictures are decoded before they are kept; 2,000 where left out. A call that is
   * interrupted loses no more than these.
   */
  readonly partSize?: number | undefined;
}

/** A file as it is now: what its pack must say of it. */
type Stamp = Pick<PackedPicture, "path" | "bytes" | "modified" | "changed" | "hash" | "fault">;

/** A row of a pack that has a picture's content. */
interface KnownRow {
  readonly pack: Pack;
  readonly row: number;
  readonly picture: PackedPicture;
}

/**
 * The pack of a data set's pictures, in the order of their hashes, in which they are read too. A picture is
 * decoded once: a later call finds it by the SHA-256 of its file, in this pack or in another one of the same
 * size. A file whose size and times are those of the pack is not read again. The caller closes the pack.
 */
export async function packPictures(
  dataPath: string,
  pictures: readonly ListedPicture[],
  options: PackingOptions,
): Promise<Pack> {
  const path = packPath(dataPath, options.size);
  const limit = cacheLimit();
  const own = await Pack.open(path);
  const { stamps, isFresh } = await stampAll(pictures, own, options.onCompared);
  stamps.sort((a, b) => (a.hash < b.hash ? -1 : a.hash > b.hash ? 1 : 0));
  const isSame = isFresh && own?.index.pictures.length === pictures.length;
  if (own && isSame && hasBackground(own, options.background)) return own;
  const known = new Map<string, KnownRow>();
  const packs = own ? [own] : [];
  if (own) addRows(known, own);
  if (stamps.some(({ hash }) => hash !== "" && !known.has(hash))) {
    for (const other of await packsOf(options.size)) {
      const pack = other === path ? undefined : await Pack.open(other);
      if (!pack) continue;
      packs.push(pack);
      addRows(known, pack);
    }
  }
  try {
    const done = await decodeParts(path, stamps, known, packs, options);
    const onProgress = (packed: number, of: number) => options.onProgress?.(Math.max(done, packed), of);
    const rest = { ...options, onProgress };
    await writePack(path, options.size, (writer) => new Packing(stamps, known, writer, rest).run());
  } finally {
    for (const pack of packs) await pack.close();
  }
  for (const part of await partsOf(path, options.size)) await rm(part, { force: true });
  await shrinkCache(picturesCache(), limit, path);
  const written = await Pack.open(path);
  if (written) return written;
  throw new UserError(`${path}, the file of decoded pictures, was removed while it was read: run again.`, {
    code: "file-damaged",
    details: { path },
  });
}

/**
 * Decodes many new pictures in parts, each a pack of its own, and adds these to `packs` and `known`. Leaves
 * fewer pictures than two parts to the pack. Returns how many pictures are decoded then.
 */
async function decodeParts(
  path: string,
  stamps: readonly Stamp[],
  known: Map<string, KnownRow>,
  packs: Pack[],
  options: PackingOptions,
): Promise<number> {
  const fresh = stamps.filter(({ hash, fault }) => fault === undefined && !known.has(hash));
  const before = stamps.length - fresh.length;
  const { partSize = 2000 } = options;
  if (fresh.length < 2 * partSize) return 0;
  const parts = new Set(await partsOf(path, options.size));
  let number = 0;
  for (let first = 0; first < fresh.length; first += partSize) {
    while (parts.has(packPartPath(path, number))) number++;
    const part = packPartPath(path, number++);
    const own = fresh.slice(first, first + partSize);
    const onProgress = (done: number) => options.onProgress?.(before + first + done, stamps.length);
    const decode = (writer: PackWriter) =>
      new Packing(own, new Map(), writer, { ...options, onProgress }).run();
    await writePack(part, options.size, decode);
    const pack = await Pack.open(part);
    if (!pack) continue;
    packs.push(pack);
    addRows(known, pack);
  }
  return stamps.length;
}

/** The parts of a pack that are there. */
async function partsOf(path: string, size: ImageSize): Promise<string[]> {
  const stem = path.replace(/pack$/, "part");
  return (await packsOf(size)).filter((other) => other.startsWith(stem));
}

function addRows(known: Map<string, KnownRow>, pack: Pack): void {
  for (const [row, picture] of pack.index.pictures.entries()) {
    if (picture.hash !== "" && !known.has(picture.hash)) known.set(picture.hash, { pack, row, picture });
  }
}

function hasBackground({ index }: Pack, background: Colour | undefined): boolean {
  if (background === undefined || background.join() === index.background.join()) return true;
  return !index.pictures.some(({ isTransparent }) => isTransparent);
}

/** The files of pictures as they are now, and whether a pack already says the same of all of them. */
async function stampAll(
  pictures: readonly ListedPicture[],
  pack: Pack | undefined,
  onCompared: PackingOptions["onCompared"],
): Promise<{ readonly stamps: Stamp[]; readonly isFresh: boolean }> {
  const before = new Map(pack?.index.pictures.map((picture) => [picture.path, picture]));
  let isFresh = pack !== undefined;
  const stamps: Stamp[] = new Array(pictures.length);
  let done = 0;
  await forEachAtOnce(pictures.length, 16, async (i) => {
    onCompared?.(done++, pictures.length);
    const path = pictures[i]?.path ?? "";
    const known = before.get(path);
    const found = await stat(path).catch((error: unknown) => errorCode(error) ?? "");
    // reading a FIFO or a device would never end
    if (typeof found === "string" || !found.isFile()) {
      const fault = typeof found === "string" ? reasonFor(found) : "it is no file";
      stamps[i] = { path, bytes: 0, modified: 0, changed: 0, hash: "", fault };
      isFresh &&= known?.fault === stamps[i]?.fault;
      return;
    }
    const now = { path, bytes: found.size, modified: found.mtimeMs, changed: found.ctimeMs };
    // a file that was written while the pack was begun may have changed since within the clock's resolution
    const isSettled = pack !== undefined && now.changed < pack.index.begun - 2000;
    const isSame =
      known?.bytes === now.bytes && known.modified === now.modified && known.changed === now.changed;
    if (known && known.hash !== "" && isSame && isSettled) {
      stamps[i] = { ...now, hash: known.hash };
      return;
    }
    // a file that could not be read, as from a network folder, is tried again
    const { hash, fault } = await hashOf(path);
    stamps[i] = { ...now, hash, fault };
    isFresh &&= isSame && isSettled && known?.hash === hash && known.fault === fault;
  });
  return { stamps, isFresh };
}

function reasonFor(code: string): string {
  return code === "ENOENT" ? "it is missing" : reasonOf(code);
}

async function hashOf(path: string): Promise<Pick<Stamp, "hash" | "fault">> {
  try {
    const file = await readFile(path);
    if (file.length === 0) return { hash: "", fault: "it is empty" };
    return { hash: createHash("sha256").update(file).digest("hex") };
  } catch (error) {
    return { hash: "", fault: reasonFor(errorCode(error) ?? String(error)) };
  }
}

/** Fills a pack: copies the rows that are known and decodes the rest, the transparent pictures last. */
class Packing {
  readonly #stamps: readonly Stamp[];
  readonly #known: ReadonlyMap<string, KnownRow>;
  readonly #writer: PackWriter;
  readonly #options: PackingOptions;
  readonly #packed: PackedPicture[];
  /** The sum of each channel over all opaque pixels; it is exact, in whatever order they are decoded. */
  readonly #sums: Float64Array;
  #opaque = 0;
  #done = 0;

  constructor(
    stamps: readonly Stamp[],
    known: ReadonlyMap<string, KnownRow>,
    writer: PackWriter,
    options: PackingOptions,
  ) {
    this.#stamps = stamps;
    this.#known = known;
    this.#writer = writer;
    this.#options = options;
    this.#packed = new Array(stamps.length);
    this.#sums = new Float64Array(options.size.channels);
  }

  async run() {
    const begun = Date.now();
    const { default: sharp } = await import("sharp");
    // each picture has one thread of libuv's pool; libvips must not start threads beside it
    const threads = sharp.concurrency(1);
    const atOnce = Math.max(4, availableParallelism()) + 2;
    const later: number[] = [];
    const all = this.#stamps.length;
    try {
      await forEachAtOnce(all, atOnce, async (i) => {
        if (!(await this.#first(i))) later.push(i);
      });
      const background = this.#options.background ?? this.#meanColour();
      await forEachAtOnce(later.length, atOnce, (i) => this.#second(at(later, i), background));
      return { begun, background, pictures: this.#packed };
    } finally {
      sharp.concurrency(threads);
    }
  }

  /** Packs a picture; returns false, with nothing done, for one that needs the background's colour. */
  async #first(i: number): Promise<boolean> {
    const stamp = this.#stampOf(i);
    const known = this.#known.get(stamp.hash);
    if (stamp.fault !== undefined) return this.#finish(i, { ...stamp, width: 0, height: 0 });
    if (known) return this.#copy(i, known);
    const { background } = this.#options;
    return this.#decode(i, background);
  }

  async #second(i: number, background: Colour): Promise<void> {
    const known = this.#known.get(this.#stampOf(i).hash);
    if (known && known.pack.index.background.join() === background.join()) {
      await this.#copyRow(i, known);
    } else await this.#decode(i, background);
  }

  async #copy(i: number, known: KnownRow): Promise<boolean> {
    if (known.picture.isTransparent) return false;
    return this.#copyRow(i, known);
  }

  async #copyRow(i: number, { pack, row, picture }: KnownRow): Promise<boolean> {
    const { width, height, fault, isTransparent } = picture;
    if (fault === undefined) {
      const pixels = new Uint8Array(pixelsOf(this.#options.size));
      await pack.read(row, 1, pixels);
      await this.#keep(i, pixels, isTransparent === true);
    }
    return this.#finish(i, { ...this.#stampOf(i), width, height, fault, isTransparent });
  }

  async #decode(i: number, background: Colour | undefined): Promise<boolean> {
    const stamp = this.#stampOf(i);
    try {
      const file = await readFileBytes(stamp.path);
      const decoded = await decodePicture(
        file,
        this.#options.size,
        stamp.path,
        background ?? [255, 255, 255],
      );
      const { pixels, isTransparent, width, height } = decoded;
      if (isTransparent && background === undefined) return false;
      await this.#keep(i, pixels, isTransparent);
      return this.#finish(i, { ...stamp, width, height, ...(isTransparent ? { isTransparent } : {}) });
    } catch (error) {
      if (!(error instanceof UserError && error.code === "picture-unreadable")) throw error;
      return this.#finish(i, { ...stamp, width: 0, height: 0, fault: String(error.details["reason"]) });
    }
  }

  async #keep(i: number, pixels: Uint8Array, isTransparent: boolean): Promise<void> {
    if (!isTransparent) {
      const area = pixels.length / this.#sums.length;
      for (let channel = 0; channel < this.#sums.length; channel++) {
        let sum = 0;
        for (let at = channel * area; at < (channel + 1) * area; at++) sum += pixels[at] ?? 0;
        this.#sums[channel] = (this.#sums[channel] ?? 0) + sum;
      }
      this.#opaque++;
    }
    await this.#writer.write(i, pixels);
  }

  #finish(i: number, picture: PackedPicture): true {
    this.#packed[i] = picture;
    this.#done++;
    this.#options.onProgress?.(this.#done, this.#stamps.length);
    return true;
  }

  #stampOf(i: number): Stamp {
    const stamp = this.#stamps[i];
    if (!stamp) throw new RangeError(`there is no picture ${i}`);
    return stamp;
  }

  /** The rounded mean colour of the opaque pictures; white where there are none. */
  #meanColour(): Colour {
    const { height, width } = this.#options.size;
    const pixels = this.#opaque * height * width;
    return Array.from(this.#sums, (sum) => (pixels === 0 ? 255 : Math.round(sum / pixels)));
  }
}

/** Calls `work` for 0 to `count` - 1, at most `atOnce` of them at a time. */
async function forEachAtOnce(
  count: number,
  atOnce: number,
  work: (i: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(count, atOnce) }, worker));
}
