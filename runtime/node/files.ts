import { type FileHandle, lstat, mkdir, open, readdir, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errorCode, refusal, refused, refuseSpecial } from "../../artifacts/read-file.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { temporaryIn } from "./temporary.ts";

export { readFileBytes } from "../../artifacts/read-file.ts";
export { removeTemporaryFiles } from "./temporary.ts";

/**
 * Writes a file atomically: writes a temporary file beside it, flushes that to the disk and renames it. A
 * failure leaves the old file. Text is written as UTF-8. A link is followed, and the mode of an old file
 * kept. Throws UserError, with the path and the reason, where the system refuses, and for a device, a FIFO, a
 * socket and a link to nothing.
 */
export async function writeFileAtomic(path: string, content: Uint8Array | string): Promise<void> {
  const { file, mode } = await destinationOf(path);
  const folder = dirname(file);
  const temporary = await temporaryIn(folder);
  try {
    await writeFlushed(temporary, content, mode);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw await writeRefusal(path, folder, error);
  }
  await flushFolder(folder);
}

/** Whether something is at a path, after all links, that this process can look at. */
export async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Whether a folder, or a link to one, is at a path that this process can look at. */
export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/**
 * Throws UserError, as writeFileAtomic would, where a file cannot be written because of what is at its path
 * now: so that a command can say so before it computes for long.
 */
export async function expectWritable(path: string): Promise<void> {
  const { file } = await destinationOf(path);
  const folder = await lookAt(dirname(file));
  if (folder === undefined) throw refused(path, "written", "its folder does not exist");
  if (!folder.isDirectory()) throw refused(path, "written", "a part of the path is not a folder");
}

/** The file that a write replaces, at the end of all links, and its mode. */
async function destinationOf(path: string): Promise<{ file: string; mode?: number }> {
  try {
    const found = await lookAt(path);
    if (found === undefined) {
      if (await isLink(path)) throw refused(path, "written", "it is a link to a file that does not exist");
      return { file: path };
    }
    if (found.isDirectory()) throw refused(path, "written", "it is a folder");
    refuseSpecial(path, "written", found);
    return { file: (await isLink(path)) ? await realpath(path) : path, mode: found.mode & 0o777 };
  } catch (error) {
    throw refusal(path, "written", error);
  }
}

/** What is at a path, after all links; undefined where nothing is. */
async function lookAt(path: string) {
  return stat(path).catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  });
}

function isLink(path: string): Promise<boolean> {
  return lstat(path).then(
    (found) => found.isSymbolicLink(),
    () => false,
  );
}

/** The system says of a folder such as /proc, which takes no files, that it does not exist. */
async function writeRefusal(path: string, folder: string, error: unknown): Promise<unknown> {
  if (errorCode(error) === "ENOENT" && (await stat(folder).catch(() => undefined))?.isDirectory())
    return refused(path, "written", "the system allows no file there", { system: "ENOENT", cause: error });
  return refusal(path, "written", error);
}

/**
 * Creates a folder and its parents where they are missing. Throws UserError, with the path and the reason,
 * where the system refuses.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const code = errorCode(error);
    if (code === "EEXIST") return expectFolder(path, error);
    // recursive mkdir reports a read-only file system as a missing folder
    const parent = dirname(path);
    if (code !== "ENOENT" || parent === path) throw refusal(path, "created", error);
    const isThere = (await stat(parent).catch(() => undefined))?.isDirectory();
    if (isThere) {
      const reason = "the system allows no folder there";
      throw refused(path, "created", reason, { system: code, cause: error });
    }
    await makeFolder(parent);
    return makeFolder(path);
  }
  await flushFolder(dirname(path));
}

/** Throws UserError where what exists at a path is no folder; `error` is that of mkdir. */
async function expectFolder(path: string, error: unknown): Promise<void> {
  try {
    if ((await stat(path)).isDirectory()) return;
  } catch (reason) {
    if (errorCode(reason) === "ENOENT")
      throw refused(path, "created", "it is a link to a folder that does not exist", { cause: reason });
    throw refusal(path, "created", reason);
  }
  throw refused(path, "created", "a file has that name", { system: "EEXIST", cause: error });
}

/**
 * Creates a folder atomically: `fill` fills a folder of a temporary name beside it, which is then flushed to
 * the disk and renamed. An empty folder is replaced; where the system does not allow that, as for a mounted
 * one, the entries are moved into it, `marker` last: it says that the folder is whole.
 * Returns false, with nothing changed, where `path` is already taken.
 * Throws UserError, with the path and the reason, where the system refuses, and whatever `fill` throws.
 */
export async function makeFolderAtomic(
  path: string,
  fill: (folder: string) => Promise<void>,
  marker?: string,
): Promise<boolean> {
  const target = (await isLink(path)) ? await realpath(path).catch(() => path) : path;
  const isEmpty = (await readdir(target).catch(() => undefined))?.length === 0;
  if (!isEmpty) await makeFolder(dirname(target));
  try {
    return await fillBeside(target, path, fill);
  } catch (error) {
    if (!isEmpty || !isFixed(error)) throw error;
    return fillInside(target, path, fill, marker);
  }
}

/** Whether the system refused to replace an empty folder: it is mounted, or its parent is not ours. */
function isFixed(error: unknown): boolean {
  const cause = error instanceof UserError ? error.cause : error;
  return ["EACCES", "EBUSY", "EINVAL", "EPERM", "EROFS", "EXDEV"].includes(errorCode(cause) ?? "");
}

async function fillBeside(
  target: string,
  path: string,
  fill: (folder: string) => Promise<void>,
): Promise<boolean> {
  const parent = dirname(target);
  const temporary = await temporaryIn(parent);
  try {
    await makeFolder(temporary);
    await fill(temporary);
    await flushFolder(temporary);
    await rename(temporary, target);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    if (["EEXIST", "ENOTEMPTY", "ENOTDIR"].includes(errorCode(error) ?? "")) return false;
    throw relocated(path, temporary, error);
  }
  await flushFolder(parent);
  return true;
}

/** Fills an empty folder that cannot be replaced. */
async function fillInside(
  target: string,
  path: string,
  fill: (folder: string) => Promise<void>,
  marker: string | undefined,
): Promise<boolean> {
  const temporary = await temporaryIn(target);
  try {
    await makeFolder(temporary);
    await fill(temporary);
    const names = (await readdir(temporary)).filter((name) => name !== marker);
    for (const name of [...names, ...(marker === undefined ? [] : [marker])])
      await rename(join(temporary, name), join(target, name));
  } catch (error) {
    throw relocated(path, temporary, error);
  } finally {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
  }
  await flushFolder(target);
  return true;
}

/**
 * Names the final path in the refusal of a file in a temporary folder. Returns other errors unchanged.
 */
function relocated(path: string, temporary: string, error: unknown): unknown {
  if (!(error instanceof UserError)) return refusal(path, "created", error);
  const { path: named, action, reason, system } = error.details;
  if (typeof named !== "string" || typeof reason !== "string") return error;
  if (action !== "written" && action !== "created") return error;
  const cause = error.cause;
  return refused(named.replace(temporary, path), action, reason, {
    ...(typeof system === "string" ? { system } : {}),
    cause,
  });
}

async function writeFlushed(
  path: string,
  content: Uint8Array | string,
  mode: number | undefined,
): Promise<void> {
  const file = await open(path, "wx", mode);
  try {
    // the process's umask applies to open alone
    if (mode !== undefined) await file.chmod(mode);
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Flushes a folder, so that a rename survives a power cut. Some systems cannot do that; the file is whole
 * anyway.
 */
export async function flushFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, "r");
    await handle.sync();
  } catch {
  } finally {
    await handle?.close();
  }
}
