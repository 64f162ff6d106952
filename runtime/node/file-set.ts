import { readdir, rename, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { refusal, refused } from "../../artifacts/read-file.ts";
import { flushFolder, isThere, makeFolderAtomic, removeTemporaryFiles, writeFileAtomic } from "./files.ts";
import { withLock } from "./lock.ts";

/** The file that says what the others are; it is moved to its place last. */
export const MANIFEST = "manifest.json";

/** The folder, inside the one that is written, of new files that are complete and not all in their places. */
const STAGED = ".staged";

/** The end of the name of an empty file in STAGED that stands for a file to remove. */
const REMOVED = ".removed";

/** The lock of a folder whose files are replaced as one. */
const LOCK = ".lock";

/**
 * Replaces files of a folder as one, and locks the folder meanwhile. The new files are written into a folder
 * inside it, whose rename to `.staged` is the moment of the change; then each is moved to its place, the
 * manifest last. After a kill at any moment, `fileOf` finds all of the old files or all of the new ones.
 * Throws UserError where a file cannot be written, and where another process writes into the folder.
 */
export async function replaceFiles(
  folder: string,
  files: ReadonlyMap<string, Uint8Array | string>,
  removed: readonly string[] = [],
): Promise<void> {
  await withLock(join(folder, LOCK), folder, {}, async () => {
    await removeTemporaryFiles(folder);
    await moveStaged(folder);
    const place = join(folder, STAGED);
    const isStaged = await makeFolderAtomic(place, async (staged) => {
      for (const name of removed) await writeFileAtomic(join(staged, `${name}${REMOVED}`), "");
      for (const [name, content] of files) await writeFileAtomic(join(staged, name), content);
    });
    if (!isStaged) throw refused(place, "created", "something else has that name");
    await moveStaged(folder);
  });
}

/**
 * Ends a replacement that a killed process has left half done. A folder that cannot be written, or is being
 * written, stays as it is.
 */
export async function endReplacement(folder: string): Promise<void> {
  if (!(await isThere(join(folder, STAGED)))) return;
  await withLock(join(folder, LOCK), folder, {}, () => moveStaged(folder)).catch(() => {});
}

/** The place of a file of a folder whose files are replaced as one; undefined where there is none. */
export async function fileOf(folder: string, name: string): Promise<string | undefined> {
  const [staged, own] = [join(folder, STAGED, name), join(folder, name)];
  if (await isThere(staged)) return staged;
  const isRemoved = await isThere(`${staged}${REMOVED}`);
  return !isRemoved && (await isThere(own)) ? own : undefined;
}

/** Moves staged files to their places: those to remove first, the manifest last. */
async function moveStaged(folder: string): Promise<void> {
  const staged = join(folder, STAGED);
  const names = await readdir(staged).catch(() => undefined);
  if (!names) return;
  try {
    for (const name of names.filter(isRemoval)) {
      await rm(join(folder, name.slice(0, -REMOVED.length)), { force: true });
      await rm(join(staged, name));
    }
    const files = names.filter((name) => !isRemoval(name) && name !== MANIFEST);
    for (const name of [...files, ...names.filter((name) => name === MANIFEST)]) {
      await rename(join(staged, name), join(folder, name));
    }
    await rmdir(staged);
  } catch (error) {
    throw refusal(folder, "written", error);
  }
  await flushFolder(folder);
}

function isRemoval(name: string): boolean {
  return name.endsWith(REMOVED);
}
