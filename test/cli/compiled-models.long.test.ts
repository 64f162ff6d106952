import { readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { shakeWith, temporaryFolder, tinyRunFlags } from "../support/shake.ts";

const folder = temporaryFolder();
let runs = 0;

/** Trains a tiny run. Returns its last checkpoint and what it said. */
async function train(name: string, variables: NodeJS.ProcessEnv, ...flags: string[]) {
  const all = [...tinyRunFlags, ...flags, "--run-dir", name];
  const { code, stderr } = await shakeWith(variables, folder, "train", ...all);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return { stderr, last: readFileSync(join(folder, name, "checkpoints/last"), "base64") };
}

test.each(["1", "2"])(
  "a run that finds its models compiled ends in the same bytes, with %s replicas",
  async (replicas) => {
    const cache = join(folder, `cache-${replicas}`);
    const again = () =>
      train(`${replicas} replicas ${runs++}`, { SHAKE_CACHE_DIR: cache }, "--replicas", replicas);
    const { last } = await again();
    const [name = "", ...others] = readdirSync(join(cache, "compiled"));
    expect(others).toEqual([]);
    const entry = join(cache, "compiled", name);
    const whole = readFileSync(entry);
    expect((await again()).last).toBe(last);
    truncateSync(entry, whole.length - 1);
    expect((await again()).last).toBe(last);
    expect(readFileSync(entry).equals(whole)).toBe(true);
    expect(readdirSync(join(cache, "compiled"))).toEqual([name]);
  },
);

test("a cache that cannot be written is no mistake, and is not told of", async () => {
  const right = await train("written", { SHAKE_CACHE_DIR: join(folder, "cache") });
  const file = join(folder, "no folder");
  writeFileSync(file, "a file");
  for (const [i, place] of [file, "/proc/nowhere"].entries()) {
    const { last, stderr } = await train(`unwritten ${i}`, { SHAKE_CACHE_DIR: place });
    expect(last).toBe(right.last);
    expect(stderr).not.toContain(place);
  }
});

test("SHAKE_DEBUG=passes reports the lowering of every session", async () => {
  for (const name of ["reported 1", "reported 2"]) {
    const { stderr } = await train(name, { SHAKE_CACHE_DIR: join(folder, "cache-2"), SHAKE_DEBUG: "passes" });
    expect(stderr).toMatch(/^pass lower: /m);
  }
});
