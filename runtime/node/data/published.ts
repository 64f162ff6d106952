import { createHash } from "node:crypto";
import { join } from "node:path";
import { UserError } from "../../../graph-builder/errors.ts";
import type { LabelledImages, LoadOptions, Split } from "../../data/types.ts";
import { isFolder, readFileBytes } from "../files.ts";
import type { DownloadOptions } from "./download.ts";
import { type PublishedFile, publishedDigest, sizeIfThere } from "./transfer.ts";

/** The content of a file of a data set. */
export interface OpenedFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** A data set in the files that its authors publish. */
export interface PublishedDataset {
  /** The common name. */
  readonly title: string;
  /** The folders that the files may be in below that of --data-dir. */
  readonly folders: readonly string[];
  readonly files: Readonly<Record<Split, readonly PublishedFile[]>>;
  /** What --data-dir must have, at the end of a sentence: `its binary version`. */
  readonly version: string;
  /** Downloads the files. Returns their folder. */
  readonly download: (options: DownloadOptions) => Promise<string>;
  /** Reads at most `limit` images of a split, whose files `open` reads. Throws UserError for damaged ones. */
  readonly read: (
    split: Split,
    open: (file: PublishedFile) => Promise<OpenedFile>,
    limit: number,
  ) => Promise<LabelledImages>;
}

/**
 * Reads a split of a published data set from `dataDir` or from the user's cache, where it is downloaded first
 * if it is missing. A file of the cache that is not the published one is downloaded again; one of `dataDir`
 * is used as it is. Both are told to `onNote`.
 * Throws a UserError that names the file where one is missing, has another size than it should or is damaged.
 */
export async function loadPublished(
  dataset: PublishedDataset,
  { split, dataDir, limit = Number.POSITIVE_INFINITY, onProgress, onNote }: LoadOptions,
): Promise<LabelledImages> {
  const { title } = dataset;
  if (dataDir !== undefined) {
    const folder = await findFolder(dataDir, dataset.folders);
    const altered: string[] = [];
    const loaded = await readSplit(folder, dataset, split, limit, (file) => altered.push(file));
    if (altered.length > 0)
      onNote?.(`Not as published for ${title}, and used all the same: ${altered.join(", ")} in ${folder}.`);
    return loaded;
  }
  const folder = await dataset.download({ onProgress });
  try {
    return await readSplit(folder, dataset, split, limit, refuseAltered);
  } catch (error) {
    if (!(error instanceof AlteredFile)) throw error;
    onNote?.(`${join(folder, error.message)} is not as published for ${title}: it is downloaded again.`);
  }
  await dataset.download({ onProgress, check: "digest" });
  return readSplit(folder, dataset, split, limit, refuseAltered);
}

/** A file of the cache has changed since it was unpacked; the message is its name. */
class AlteredFile extends Error {}

function refuseAltered(file: string): never {
  throw new AlteredFile(file);
}

/** Reads a split up to a limit; `onAltered` is called with each file of another digest. */
async function readSplit(
  folder: string,
  dataset: PublishedDataset,
  split: Split,
  limit: number,
  onAltered: (file: string) => void,
): Promise<LabelledImages> {
  const paths = new Map<PublishedFile, string>();
  for (const file of dataset.files[split]) paths.set(file, await find(folder, file, dataset));
  const open = async (file: PublishedFile): Promise<OpenedFile> => {
    const path = paths.get(file) ?? join(folder, file.name);
    const bytes = await readFileBytes(path);
    const [algorithm, hex] = publishedDigest(file);
    const isAsNamed = path.endsWith(file.name);
    if (isAsNamed && createHash(algorithm).update(bytes).digest("hex") !== hex) onAltered(file.name);
    return { path, bytes };
  };
  return dataset.read(split, open, limit);
}

/** The folder of the files: `dataDir` itself, or the one in it that the data set's programs make. */
async function findFolder(dataDir: string, folders: readonly string[]): Promise<string> {
  for (const name of folders) {
    const nested = join(dataDir, name);
    if (await isFolder(nested)) return nested;
  }
  return dataDir;
}

/** The path of a file, or of what is in it where a .gz was unpacked. Throws UserError for another size. */
async function find(
  folder: string,
  { name, bytes }: PublishedFile,
  { title, version }: PublishedDataset,
): Promise<string> {
  const path = join(folder, name);
  const size = await sizeIfThere(path);
  if (size === bytes) return path;
  const unpacked = path.replace(/\.gz$/, "");
  if (unpacked !== path && size === undefined && (await sizeIfThere(unpacked)) !== undefined) return unpacked;
  const fault = size === undefined ? "is missing" : `has ${size} bytes`;
  throw new UserError(
    `${path} ${fault} where a file of ${title} of ${bytes} bytes should be: give the folder of ${version} with --data-dir.`,
    { code: "data-missing" },
  );
}
