import { open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { UserError } from "../../../graph-builder/errors.ts";
import { cacheFolder } from "../cache-folder.ts";
import { makeFolder, removeTemporaryFiles } from "../files.ts";
import { withLock } from "../lock.ts";
import { temporaryIn } from "../temporary.ts";
import {
  type FileCheck,
  hasFiles,
  type OnReceived,
  type PublishedFile,
  type Remote,
  reasonOf,
  receive,
  verify,
} from "./transfer.ts";

/** A .tar.gz with one folder of files, all known beforehand. */
export interface Archive extends Remote {
  readonly folder: string;
  readonly files: readonly PublishedFile[];
}

/** Files that are published one by one below an address. */
export interface FileList {
  /** The common name of the data set. */
  readonly title: string;
  /** The address of the files; it ends with a slash. */
  readonly url: string;
  readonly folder: string;
  readonly files: readonly (PublishedFile & { readonly sha256: string })[];
}

/** The folder and the progress callback of a download. */
export interface DownloadOptions {
  readonly cacheDir?: string | undefined;
  readonly onProgress?: OnReceived | undefined;
  /** What the files in the cache are checked by; their sizes where left out. */
  readonly check?: FileCheck | undefined;
}

/**
 * Returns the folder of an archive's files. Downloads and unpacks the archive first where the cache lacks one
 * of them, or has another in its place. A download that was cut is resumed, in the same call or in a later
 * one. Nothing is unpacked before its size and SHA-256 are verified. Throws UserError where the archive
 * cannot be downloaded, is another one than expected, or cannot be stored.
 */
export async function downloadArchive(archive: Archive, options: DownloadOptions = {}): Promise<string> {
  return complete(archive, options, async (folder, onProgress) => {
    const part = `${folder}.tar.gz.part`;
    await receive(archive, part, onProgress);
    await verify(archive, part);
    await unpack(archive, part, folder);
    await rm(part, { force: true });
  });
}

/**
 * Returns the folder of files that are published one by one. Downloads those first that the cache lacks, or
 * has others in their place. A download that was cut is resumed. No file appears before its size and SHA-256
 * are verified. Throws UserError as `downloadArchive` does.
 */
export async function downloadFiles(list: FileList, options: DownloadOptions = {}): Promise<string> {
  const total = list.files.reduce((sum, { bytes }) => sum + bytes, 0);
  return complete(list, options, async (folder, onProgress) => {
    await makeFolder(folder);
    let before = 0;
    for (const file of list.files) {
      const path = join(folder, file.name);
      if (!(await hasFiles(folder, [file], options.check ?? "size"))) {
        const remote = { ...file, title: list.title, url: list.url + file.name };
        await receive(remote, `${path}.part`, (received) => onProgress?.(before + received, total));
        await verify(remote, `${path}.part`);
        await synchronize(`${path}.part`);
        await rename(`${path}.part`, path);
      }
      before += file.bytes;
      onProgress?.(before, total);
    }
  });
}

/** Has `fetchInto` get the files where the cache lacks one of them, for one process at a time. */
async function complete(
  { title, folder: name, files }: Pick<Archive, "title" | "folder" | "files">,
  { cacheDir = cacheFolder(), onProgress, check = "size" }: DownloadOptions,
  fetchInto: (folder: string, onProgress: OnReceived | undefined) => Promise<void>,
): Promise<string> {
  const folder = join(cacheDir, name);
  await removeTemporaryFiles(cacheDir);
  if (await hasFiles(folder, files, check)) return folder;
  try {
    await makeFolder(cacheDir);
    await withLock(`${folder}.lock`, title, { wait: true }, async () => {
      // another process may have got it while this one waited
      if (!(await hasFiles(folder, files, check))) await fetchInto(folder, onProgress);
    });
  } catch (error) {
    if (error instanceof UserError && error.code !== "file-unwritable") throw error;
    throw new UserError(
      `${title} could not be stored in ${cacheDir} (${reasonOf(error)}): make room there, or name another folder with SHAKE_CACHE_DIR.`,
      { code: "file-unwritable", cause: error },
    );
  }
  return folder;
}

/** Unpacks the known files of an archive, and no others. The folder appears when all of them are there. */
async function unpack({ title, url, ...archive }: Archive, part: string, folder: string): Promise<void> {
  const wanted = new Set(archive.files.map(({ name }) => `${archive.folder}/${name}`));
  const temporary = await temporaryIn(dirname(folder));
  const unpacked = join(temporary, archive.folder);
  try {
    await makeFolder(temporary);
    const { extract } = await import("tar");
    await extract({
      file: part,
      cwd: temporary,
      preserveOwner: false,
      filter: (path, entry) => "type" in entry && entry.type === "File" && wanted.has(path),
    });
    if (!(await hasFiles(unpacked, archive.files, "digest"))) {
      throw new UserError(`The archive of ${url} lacks files of ${title}: give a folder with --data-dir.`, {
        code: "data-damaged",
      });
    }
    for (const { name } of archive.files) await synchronize(join(unpacked, name));
    await rm(folder, { recursive: true, force: true });
    await rename(unpacked, folder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function synchronize(path: string): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
