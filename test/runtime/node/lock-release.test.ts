import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { FileLock } from "../../../runtime/node/lock.ts";

/** How many links are refused because there is a file, and what was removed. */
const calls = vi.hoisted((): { refusals: number; readonly removed: string[] } => ({
  refusals: 0,
  removed: [],
}));

vi.mock("node:fs/promises", async (importOriginal) => {
  const original = await importOriginal<typeof import("node:fs/promises")>();
  return {
    ...original,
    link: async (...given: Parameters<typeof original.link>) => {
      if (calls.refusals-- > 0)
        throw Object.assign(new Error("there is a file"), { code: "EEXIST", syscall: "link" });
      return original.link(...given);
    },
    rm: async (...given: Parameters<typeof original.rm>) => {
      calls.removed.push(String(given[0]));
      return original.rm(...given);
    },
  };
});

test("a lock that is given back while somebody looks who holds it is not removed from the next holder", async () => {
  const folder = await mkdtemp(join(tmpdir(), "shakenet-lock-"));
  const path = join(folder, ".lock");
  // there is a lock when it is asked for, and none any more when its holder is looked for
  calls.refusals = 1;
  const lock = await FileLock.acquire(path, "runs/a");
  expect(calls.removed.filter((each) => each.startsWith(path))).toEqual([]);
  await lock.release();
  await rm(folder, { recursive: true });
});
