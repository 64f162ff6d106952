import { readdir, rm, stat, utimes } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { projectName } from "../../graph-builder/project.ts";

/**
 * The folder for downloads, decoded pictures and compiled models, which all runs of a user share:
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

/** Marks an entry of a cache as used now. */
export async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => {});
}

/**
 * Removes the entries of a folder that were not used for the longest time until all of them have `limit`
 * bytes at most; the entry `keep` stays.
 */
export async function shrinkCache(folder: string, limit: number, keep: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  const entries = await Promise.all(
    names
      .filter((name) => !name.startsWith(".") && !name.endsWith(".lock"))
      .map(async (name) => {
        const path = join(folder, name);
        const time = await stat(path).then(
          ({ mtimeMs }) => mtimeMs,
          () => 0,
        );
        return { path, time, bytes: await sizeOf(path) };
      }),
  );
  let total = entries.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const { path, bytes } of entries.sort((a, b) => a.time - b.time)) {
    if (total <= limit) return;
    if (path === keep) continue;
    await rm(path, { recursive: true, force: true });
    total -= bytes;
  }
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) return found?.size ?? 0;
  const names = await readdir(path).catch(() => []);
  const sizes = await Promise.all(names.map((name) => sizeOf(join(path, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}
