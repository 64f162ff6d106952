import { readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../../../graph-builder/errors.ts";
import { cacheFolder } from "../download.ts";

/** The folder of decoded pictures and unpacked archives, which all runs of a user share. */
export function picturesCache(): string {
  return join(cacheFolder(), "pictures");
}

/**
 * The bytes that the cache may hold; SHAKE_CACHE_GB sets another number of gigabytes. Throws UserError where
 * that is not a number above 0.
 */
export function cacheLimit(environment: Readonly<Record<string, string | undefined>> = process.env): number {
  const said = environment["SHAKE_CACHE_GB"] || "20";
  const gigabytes = Number(said);
  if (gigabytes > 0) return gigabytes * 1e9;
  throw new UserError(`SHAKE_CACHE_GB must be a number of gigabytes above 0, not ${said}.`, {
    code: "setting-invalid",
    details: { variable: "SHAKE_CACHE_GB", value: said },
  });
}

/** Marks an entry of the cache as used now. */
export async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => {});
}

/** Removes the entries that were not used for the longest time until the cache is within its limit. */
export async function shrinkCache(
  keep: string,
  folder = picturesCache(),
  limit = cacheLimit(),
): Promise<void> {
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
