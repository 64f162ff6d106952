import { join } from "node:path";
import { UserError } from "../../../../graph-builder/errors.ts";
import { cacheFolder } from "../../cache-folder.ts";

/** The folder of decoded pictures and unpacked archives, which all runs of a user share. */
export function picturesCache(): string {
  return join(cacheFolder(), "pictures");
}

/**
 * The bytes that the cache of pictures may hold; SHAKE_CACHE_GB sets another number of gigabytes. Throws
 * UserError where that is not a number above 0.
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
