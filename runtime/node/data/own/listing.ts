import { readdir, realpath, stat } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { errorCode, refusal } from "../../../../artifacts/read-file.ts";
import { UserError } from "../../../../graph-builder/errors.ts";

/** The parts of a data set of one's own. `test` is never used to choose anything. */
export type PictureSplit = "train" | "val" | "test";

/** A picture file with its class. */
export interface ListedPicture {
  /** The absolute path. */
  readonly path: string;
  /** The path as messages name it: relative to the data set. */
  readonly name: string;
  readonly label: string;
  /** Undefined where the data set is not divided into splits. */
  readonly split: PictureSplit | undefined;
}

/** The pictures of a data set, undecoded. */
export interface PictureListing {
  readonly pictures: readonly ListedPicture[];
  /** The classes that have a folder and no picture in it. */
  readonly empty: readonly { readonly label: string; readonly split: PictureSplit | undefined }[];
  /** Sentences about what is left out. */
  readonly notices: readonly string[];
}

/** Names of picture files, in any case. Some of them no decoder here reads: they count as broken. */
const pictureNames = new Set(
  ".jpg .jpeg .png .webp .avif .gif .tif .tiff .bmp .heic .heif .jxl .svg".split(" "),
);

export function isPictureName(name: string): boolean {
  return !name.startsWith(".") && pictureNames.has(extname(name).toLowerCase());
}

const splitNames = new Map<string, PictureSplit>([
  ["train", "train"],
  ["training", "train"],
  ["val", "val"],
  ["valid", "val"],
  ["validation", "val"],
  ["eval", "val"],
  ["test", "test"],
  ["testing", "test"],
]);

/** The split of a name such as `valid`; undefined for another name. */
export function splitOf(name: string): PictureSplit | undefined {
  return splitNames.get(name.toLowerCase());
}

/** Folders that programs make beside pictures, and that are no classes. */
const otherFolders = new Set(["__MACOSX", "runs", "build"]);

/**
 * The pictures of a folder: `<class>/*`, or `train/<class>/*` with `val` and `test` beside it. Throws
 * UserError, which names the folder as `shown`, where there are no classes.
 */
export async function listFolder(root: string, shown = root): Promise<PictureListing> {
  const { folders, files } = await entriesOf(root);
  const parts = await splitFolders(root, folders);
  if (parts) return listParts(root, parts, folders);
  const loose = files.filter(isPictureName).length;
  if (folders.every((name) => otherFolders.has(name))) {
    const found = loose > 0 ? `but ${loose} pictures` : "and no pictures";
    throw new UserError(
      `${shown} has no folders of classes ${found}: put the pictures of each class into a folder of its name.`,
      { code: "data-missing", details: { path: shown } },
    );
  }
  const listing = await listClasses(root, root, undefined);
  const note = loose > 0 ? [`Pictures beside the folders of classes are left out: ${loose}.`] : [];
  return { ...listing, notices: [...listing.notices, ...note] };
}

/**
 * The folder of each split; undefined where the folders are classes. `train` may be a class too, so it must
 * hold folders.
 */
async function splitFolders(
  root: string,
  folders: readonly string[],
): Promise<ReadonlyMap<PictureSplit, string> | undefined> {
  const parts = new Map<PictureSplit, string>();
  for (const name of folders) {
    const split = splitOf(name);
    if (!split) continue;
    const other = parts.get(split);
    if (other !== undefined) {
      throw new UserError(`${root} has two folders for the same pictures, ${other} and ${name}: keep one.`, {
        code: "data-invalid",
        details: { path: root, split },
      });
    }
    parts.set(split, name);
  }
  const train = parts.get("train");
  if (train === undefined) return undefined;
  return (await entriesOf(join(root, train))).folders.length > 0 ? parts : undefined;
}

async function listParts(
  root: string,
  parts: ReadonlyMap<PictureSplit, string>,
  folders: readonly string[],
): Promise<PictureListing> {
  const used = new Set(parts.values());
  const others = folders.filter((name) => !used.has(name) && !otherFolders.has(name));
  const listings: PictureListing[] = [];
  for (const [split, name] of parts) {
    const folder = join(root, name);
    const { folders: classes } = await entriesOf(folder);
    if (classes.length > 0) listings.push(await listClasses(root, folder, split));
    else listings.push({ pictures: [], empty: [], notices: [`${name} has no folders of classes.`] });
  }
  const note = others.map((name) => `The folder ${name} is neither train, val nor test, and is left out.`);
  return {
    pictures: listings.flatMap(({ pictures }) => pictures),
    empty: listings.flatMap(({ empty }) => empty),
    notices: [...note, ...listings.flatMap(({ notices }) => notices)],
  };
}

async function listClasses(
  root: string,
  folder: string,
  split: PictureSplit | undefined,
): Promise<PictureListing> {
  const pictures: ListedPicture[] = [];
  const empty: { label: string; split: PictureSplit | undefined }[] = [];
  const notices: string[] = [];
  for (const label of (await entriesOf(folder)).folders) {
    if (otherFolders.has(label)) {
      if (label !== "__MACOSX") notices.push(`The folder ${label} is not taken for a class.`);
      continue;
    }
    const paths = await picturesUnder(join(folder, label));
    if (paths.length === 0) empty.push({ label, split });
    for (const path of paths) {
      pictures.push({ path, name: relative(root, path).split(sep).join("/"), label, split });
    }
  }
  return { pictures, empty, notices };
}

/** The deepest folder under a class that is looked into. */
const deepest = 8;

/**
 * The pictures in a folder and in the folders below it, in the order of their names. A link to a folder that
 * holds it (`around`, without links) is left out: its pictures are there already.
 */
export async function picturesUnder(folder: string, around: readonly string[] = []): Promise<string[]> {
  const { folders, files } = await entriesOf(folder);
  const own = files.filter(isPictureName).map((name) => join(folder, name));
  const place = await realpath(folder);
  if (around.includes(place)) return [];
  if (around.length + 1 === deepest) return own;
  const below: string[] = [];
  for (const name of folders) below.push(...(await picturesUnder(join(folder, name), [...around, place])));
  return [...own, ...below];
}

/**
 * The visible folders and files in a folder, in the order of their names. Links are followed, but for those
 * to a folder that holds them.
 */
export async function entriesOf(
  folder: string,
): Promise<{ readonly folders: readonly string[]; readonly files: readonly string[] }> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") throw missing(folder);
    throw refusal(folder, "read", error);
  });
  const folders: string[] = [];
  const files: string[] = [];
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    const isLink = entry.isSymbolicLink();
    const found = isLink ? await stat(join(folder, entry.name)).catch(() => undefined) : entry;
    if (found?.isDirectory()) {
      if (!isLink || !(await leadsUp(folder, entry.name))) folders.push(entry.name);
    } else if (found?.isFile()) files.push(entry.name);
  }
  return { folders: folders.sort(), files: files.sort() };
}

/** Whether a link in a folder leads to the folder itself or to one around it. */
async function leadsUp(folder: string, link: string): Promise<boolean> {
  const [place, target] = await Promise.all([realpath(folder), realpath(join(folder, link))]);
  return place === target || place.startsWith(target.endsWith(sep) ? target : target + sep);
}

/** The error for a data set that is not where it is looked for. */
export function missing(path: string): UserError {
  return new UserError(`The pictures of ${path} are not there: give their folder with --data.`, {
    code: "data-missing",
    details: { path },
  });
}
