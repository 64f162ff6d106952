import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { errorCode, refusal } from "../../artifacts/read-file.ts";
import { UserError } from "../../graph-builder/errors.ts";

export { readFileBytes } from "../../artifacts/read-file.ts";

/**
 * Writes a file atomically: writes a temporary file beside it, flushes that to the disk and renames it. A
 * failure leaves the old file. Text is written as UTF-8. Throws UserError, with the path and the reason,
 * where the system refuses.
 */
export async function writeFileAtomic(path: string, content: Uint8Array | string): Promise<void> {
  const folder = dirname(path);
  const temporary = temporaryIn(folder);
  try {
    await writeFlushed(temporary, content);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw refusal(path, "written", error);
  }
  await flushFolder(folder);
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
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return;
    // recursive mkdir reports a read-only file system as a missing folder
    if (code !== "ENOENT" || dirname(path) === path) throw refusal(path, "created", error);
    await makeFolder(dirname(path));
    await makeFolder(path);
  }
}

/**
 * Creates a folder atomically: `fill` fills a folder of a temporary name beside it, which is then renamed.
 * Returns false, with nothing changed, where `path` is already taken (by anything but an empty folder).
 * Throws UserError, with the path and the reason, where the system refuses, and whatever `fill` throws.
 */
export async function makeFolderAtomic(
  path: string,
  fill: (folder: string) => Promise<void>,
): Promise<boolean> {
  const parent = dirname(path);
  await makeFolder(parent);
  const temporary = temporaryIn(parent);
  try {
    await makeFolder(temporary);
    await fill(temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    if (["EEXIST", "ENOTEMPTY", "ENOTDIR"].includes(errorCode(error) ?? "")) return false;
    throw relocated(path, temporary, error);
  }
  await flushFolder(parent);
  return true;
}

/**
 * Names the final path in the refusal of a file in a temporary folder. Returns other errors unchanged.
 */
function relocated(path: string, temporary: string, error: unknown): unknown {
  if (!(error instanceof UserError)) return refusal(path, "created", error);
  const { path: refused, action } = error.details;
  if (typeof refused !== "string" || (action !== "written" && action !== "created")) return error;
  return refusal(refused.replace(temporary, path), action, error.cause);
}

/** Removes the temporary files that a killed process has left in a folder. */
export async function removeTemporaryFiles(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  const left = names.filter((name) => temporaryName.test(name));
  await Promise.all(left.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}

const temporaryName = /^\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;

function temporaryIn(folder: string): string {
  return join(folder, `.${randomUUID()}.tmp`);
}

async function writeFlushed(path: string, content: Uint8Array | string): Promise<void> {
  const file = await open(path, "wx");
  try {
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
async function flushFolder(folder: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(folder, "r");
    await handle.sync();
  } catch {
  } finally {
    await handle?.close();
  }
}
