import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { extract } from "tar";
import { UserError } from "../../../graph-builder/errors.ts";
import { projectName } from "../../../graph-builder/project.ts";
import { makeFolder, removeTemporaryFiles } from "../files.ts";
import { withLock } from "../lock.ts";
import { temporaryIn } from "../temporary.ts";

/** A file that an archive holds. */
export interface ArchiveFile {
  readonly name: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** A .tar.gz with one folder of files, all known beforehand. */
export interface Archive {
  /** The common name of the data set. */
  readonly title: string;
  readonly url: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
  readonly folder: string;
  readonly files: readonly ArchiveFile[];
}

/** The folder and the progress callback of a download. */
export interface DownloadOptions {
  readonly cacheDir?: string | undefined;
  /** Called with the number of bytes on disk and of the whole archive. */
  readonly onProgress?: ((received: number, total: number) => void) | undefined;
  /** What the files in the cache are checked by; their sizes where left out. */
  readonly check?: FileCheck | undefined;
}

/** Whether files are the expected ones by their sizes alone, or by their SHA-256 too. */
export type FileCheck = "size" | "sha256";

/**
 * The folder for downloads, which all runs of a user share:
 * SHAKE_CACHE_DIR, or the project's folder in XDG_CACHE_HOME or in the platform's own place for caches.
 */
export function cacheFolder(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  platform: string = process.platform,
  home: string = homedir(),
): string {
  const { SHAKE_CACHE_DIR, XDG_CACHE_HOME, LOCALAPPDATA } = environment;
  if (SHAKE_CACHE_DIR) return SHAKE_CACHE_DIR;
  if (XDG_CACHE_HOME) return join(XDG_CACHE_HOME, projectName);
  if (platform === "win32") return join(LOCALAPPDATA || join(home, "AppData", "Local"), projectName);
  return join(home, platform === "darwin" ? "Library/Caches" : ".cache", projectName);
}

/**
 * Returns the folder of an archive's files. Downloads and unpacks the archive first where the cache lacks one
 * of them, or has another in its place. A download that was cut is resumed, in the same call or in a later
 * one. Nothing is unpacked before its size and SHA-256 are verified. Throws UserError where the archive
 * cannot be downloaded, is another one than expected, or cannot be stored.
 */
export async function downloadArchive(
  archive: Archive,
  { cacheDir = cacheFolder(), onProgress, check = "size" }: DownloadOptions = {},
): Promise<string> {
  const folder = join(cacheDir, archive.folder);
  await removeTemporaryFiles(cacheDir);
  if (await isComplete(folder, archive.files, check)) return folder;
  const part = `${folder}.tar.gz.part`;
  try {
    await makeFolder(cacheDir);
    await withLock(`${folder}.lock`, archive.title, { wait: true }, async () => {
      // another process may have got it while this one waited
      if (await isComplete(folder, archive.files, check)) return;
      await receive(archive, part, onProgress);
      await verify(archive, part);
      await unpack(archive, part, folder);
      await rm(part, { force: true });
    });
  } catch (error) {
    if (error instanceof UserError && error.code !== "file-unwritable") throw error;
    throw new UserError(
      `${archive.title} could not be stored in ${cacheDir} (${reasonOf(error)}): make room there, or name another folder with SHAKE_CACHE_DIR.`,
      { code: "file-unwritable", cause: error },
    );
  }
  return folder;
}

async function isComplete(folder: string, files: readonly ArchiveFile[], check: FileCheck): Promise<boolean> {
  for (const { name, bytes, sha256 } of files) {
    const path = join(folder, name);
    if ((await sizeOf(path)) !== bytes) return false;
    if (check === "sha256" && (await sha256Of(path)) !== sha256) return false;
  }
  return true;
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest("hex");
}

/** The size of a file in bytes, 0 where there is none. */
async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/** Why a path was refused; the code of another system or network error; its message where it has no code. */
function reasonOf(error: unknown): string {
  if (error instanceof UserError) return String(error.details["reason"] ?? error.message);
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  if (code !== undefined) return code;
  return error.cause === undefined ? error.message : reasonOf(error.cause);
}

function unavailable({ title, url, bytes }: Archive, reason: string, received: number): UserError {
  return new UserError(
    `${title} could not be downloaded from ${url} (${reason} after ${received} of ${bytes} bytes): run again to go on from there, or fetch it elsewhere and give its folder with --data-dir.`,
    { code: "download-failed" },
  );
}

/** Downloads until the file is whole. Throws UserError where a request brings no further bytes. */
async function receive(
  archive: Archive,
  part: string,
  onProgress: DownloadOptions["onProgress"],
): Promise<void> {
  let received = await sizeOf(part);
  while (received < archive.bytes) {
    const failure = await request(archive, part, received, onProgress).then(
      () => "the connection was cut",
      networkFailure,
    );
    const size = await sizeOf(part);
    if (size <= received) throw unavailable(archive, failure, size);
    received = size;
  }
}

/** The reason of an error of fetch, which is always a TypeError; throws every other error again. */
function networkFailure(error: unknown): string {
  if (error instanceof TypeError) return reasonOf(error);
  throw error;
}

/** Asks for the bytes from `start` on and writes them at their place in the file. */
async function request(
  archive: Archive,
  part: string,
  start: number,
  onProgress: DownloadOptions["onProgress"],
): Promise<void> {
  const range: Record<string, string> = start === 0 ? {} : { range: `bytes=${start}-` };
  const response = await fetch(archive.url, { headers: { "accept-encoding": "identity", ...range } });
  let offset = await firstByte(archive, part, start, response);
  const file = await open(part, constants.O_WRONLY | constants.O_CREAT);
  try {
    for await (const chunk of response.body ?? []) {
      if (offset + chunk.length > archive.bytes) throw unavailable(archive, "the file is too long", offset);
      await file.write(chunk, 0, chunk.length, offset);
      offset += chunk.length;
      onProgress?.(offset, archive.bytes);
    }
  } finally {
    await file.close();
  }
}

/** The offset of a response's first byte in the file: 0 where the server does not support ranges. */
async function firstByte(archive: Archive, part: string, start: number, response: Response): Promise<number> {
  const { status, headers } = response;
  const rangeStart = /^bytes (\d+)-/.exec(headers.get("content-range") ?? "")?.[1];
  const offset = status === 206 ? Number(rangeStart) : 0;
  const length = headers.get("content-length") ?? archive.bytes - offset;
  let fault: string | undefined;
  if (status !== 200 && status !== 206) fault = `HTTP ${status}`;
  else if (!(offset <= start)) fault = "the server sent another range";
  else if (offset + Number(length) !== archive.bytes)
    fault = `the server has ${offset + Number(length)} bytes`;
  if (fault === undefined) return offset;
  await response.body?.cancel();
  if (status === 416) await rm(part, { force: true });
  throw unavailable(archive, fault, start);
}

/** Checks the SHA-256 of a download. Deletes a wrong one, so that the next run starts again. */
async function verify({ title, url, sha256 }: Archive, part: string): Promise<void> {
  const found = await sha256Of(part);
  if (found === sha256) return;
  await rm(part, { force: true });
  throw new UserError(
    `The file from ${url} is not ${title}: its SHA-256 is ${found}, not ${sha256}. It was deleted: run again, or give a folder with --data-dir.`,
    { code: "data-damaged" },
  );
}

/** Unpacks the known files of an archive, and no others. The folder appears when all of them are there. */
async function unpack({ title, url, ...archive }: Archive, part: string, folder: string): Promise<void> {
  const wanted = new Set(archive.files.map(({ name }) => `${archive.folder}/${name}`));
  const temporary = await temporaryIn(dirname(folder));
  const unpacked = join(temporary, archive.folder);
  try {
    await makeFolder(temporary);
    await extract({
      file: part,
      cwd: temporary,
      preserveOwner: false,
      filter: (path, entry) => "type" in entry && entry.type === "File" && wanted.has(path),
    });
    if (!(await isComplete(unpacked, archive.files, "sha256"))) {
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
