import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Gives the tests a cache of their own, so that they neither read nor fill that of the user. */
export default function setup(): () => void {
  const cache = mkdtempSync(join(tmpdir(), "shake-cache-"));
  process.env["SHAKE_CACHE_DIR"] = cache;
  return () => rmSync(cache, { recursive: true, force: true });
}
