import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import type { Ingredients } from "../../../../runtime/index.ts";
import { ModelCache } from "../../../../runtime/node/index.ts";
import { temporaryFolder } from "../../../support/shake.ts";

const parent = temporaryFolder();
let number = 0;
let folder: string;
let compilations: number;

beforeEach(() => {
  folder = join(parent, String(number++), "compiled");
  compilations = 0;
});

const ingredients: Ingredients = { text: "session", files: [Uint8Array.of(1, 2), undefined] };
const models = { train: { bytes: Uint8Array.of(8, 9), names: ["images"] }, sizes: [3] };

function compile(): typeof models {
  compilations++;
  return models;
}

/** What the cache returns, and how often it compiled. */
async function remembered(given = ingredients, cache = new ModelCache(folder)) {
  const before = compilations;
  return [await cache.remember(given, compile), compilations - before];
}

/** The only entry of the cache. */
function entry(): string {
  const [name = "", ...others] = readdirSync(folder);
  expect(others).toEqual([]);
  return join(folder, name);
}

test("the same ingredients are compiled once, also for another process", async () => {
  expect(await remembered()).toEqual([models, 1]);
  expect(await remembered()).toEqual([models, 0]);
  expect(entry()).toMatch(/[0-9a-f]{64}\.model$/);
});

test("every ingredient has its place in the key", async () => {
  const bytes = Uint8Array.of(1, 2);
  const others: Ingredients[] = [
    { text: "chunk", files: ingredients.files },
    { text: "session", files: [Uint8Array.of(1, 3), undefined] },
    { text: "session", files: [undefined, bytes] },
    { text: "session", files: [bytes, new Uint8Array()] },
    { text: "session", files: [bytes] },
    { text: "session", files: [Uint8Array.of(1), Uint8Array.of(2)] },
  ];
  for (const each of [ingredients, ...others]) expect(await remembered(each)).toEqual([models, 1]);
  for (const each of [ingredients, ...others]) expect(await remembered(each)).toEqual([models, 0]);
});

describe("an entry that is not what was written is made again and replaced", () => {
  test.each<[string, (path: string) => void]>([
    ["empty", (path) => writeFileSync(path, "")],
    ["cut off in its hash", (path) => truncateSync(path, 20)],
    ["cut off at its end", (path) => truncateSync(path, statSync(path).size - 1)],
    ["longer", (path) => writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.of(0)]))],
    ["of another hash", (path) => change(path, 0)],
    ["changed in its text", (path) => change(path, 40)],
    ["changed in a model", (path) => change(path, statSync(path).size - 1)],
  ])("%s", async (_, damage) => {
    await remembered();
    const whole = readFileSync(entry());
    damage(entry());
    expect(await remembered()).toEqual([models, 1]);
    expect(readFileSync(entry()).equals(whole)).toBe(true);
    expect(await remembered()).toEqual([models, 0]);
  });

  test("that of other ingredients under its name", async () => {
    await remembered();
    const path = entry();
    const other = new ModelCache(join(folder, "other"));
    await other.remember({ ...ingredients, text: "chunk" }, () => ({ ...models, sizes: [4] }));
    const [name = ""] = readdirSync(other.folder);
    writeFileSync(path, readFileSync(join(other.folder, name)));
    expect(await remembered()).toEqual([models, 1]);
  });

  test("a folder in its place stays, and costs nothing", async () => {
    await remembered();
    const path = entry();
    execFileSync("rm", [path]);
    mkdirSync(path);
    expect(await remembered()).toEqual([models, 1]);
    expect(await remembered()).toEqual([models, 1]);
  });
});

/** Flips a bit of a file. */
function change(path: string, index: number): void {
  const bytes = readFileSync(path);
  bytes[index] = (bytes[index] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

describe("a folder that cannot be written is as good as an empty one:", () => {
  test("a file in its place", async () => {
    mkdirSync(join(folder, ".."), { recursive: true });
    writeFileSync(folder, "a file");
    expect(await remembered()).toEqual([models, 1]);
    expect(readFileSync(folder, "utf8")).toBe("a file");
  });

  test.skipIf(process.platform !== "linux")("a place where the system allows none", async () => {
    const cache = new ModelCache("/proc/compiled");
    expect(await remembered(ingredients, cache)).toEqual([models, 1]);
  });

  test("a read-only disk, whose entries are read", async ({ skip }) => {
    mkdirSync(folder, { recursive: true });
    const mount = (...args: string[]) => execFileSync("mount", [...args, folder], { stdio: "ignore" });
    try {
      mount("-t", "tmpfs", "-o", "size=1m", "tmpfs");
    } catch {
      return skip("only root can mount a disk");
    }
    try {
      await remembered();
      mount("-o", "remount,ro");
      expect(await remembered()).toEqual([models, 0]);
      expect(await remembered({ ...ingredients, text: "chunk" })).toEqual([models, 1]);
      expect(readdirSync(folder)).toHaveLength(1);
    } finally {
      execFileSync("umount", [folder]);
    }
  });

  test("a full disk, on which nothing is left", async ({ skip }) => {
    mkdirSync(folder, { recursive: true });
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], { stdio: "ignore" });
    } catch {
      return skip("only root can mount a disk");
    }
    try {
      const large = { bytes: new Uint8Array(1e6).fill(1) };
      expect(await new ModelCache(folder).remember(ingredients, () => large)).toBe(large);
      expect(readdirSync(folder)).toEqual([]);
    } finally {
      execFileSync("umount", [folder]);
    }
  });
});

test("what a killed process left is removed, also where the entry is there", async () => {
  await remembered();
  writeFileSync(join(folder, ".0c6d5b7e-0000-4000-8000-000000000000.tmp"), "half an entry");
  expect(await remembered()).toEqual([models, 0]);
  entry();
});

test("two that compile the same at once leave one whole entry", async () => {
  await Promise.all([remembered(), remembered(), remembered()]);
  expect(await remembered()).toEqual([models, 0]);
  entry();
});

test("an entry above 64 MB is not kept, and 256 MB at most are, the least used going first", async () => {
  const cache = new ModelCache(folder);
  const result = (megabytes: number) => ({ bytes: new Uint8Array(megabytes * 1e6) });
  await cache.remember({ ...ingredients, text: "large" }, () => result(65));
  expect(() => readdirSync(folder)).toThrow();
  const made: string[] = [];
  for (let i = 0; i < 5; i++) {
    await cache.remember({ ...ingredients, text: `${i}` }, () => result(60));
    const [name = ""] = readdirSync(folder).filter((each) => !made.includes(each));
    made.push(name);
    utimesSync(join(folder, name), 1000 + i, 1000 + i);
    // the first is used again before the last is made
    if (i === 3) await cache.remember({ ...ingredients, text: "0" }, () => result(60));
  }
  const [first, second, ...others] = made;
  expect(second).toBeDefined();
  expect(readdirSync(folder).sort()).toEqual([first, ...others].sort());
});

test("what is no plain data is returned, and not kept", async () => {
  const cache = new ModelCache(folder);
  const made = { graph: new (class Graph {})() };
  expect(await cache.remember(ingredients, () => made)).toBe(made);
  expect(() => readdirSync(folder)).toThrow();
});

test("an error of the compiler is thrown, and nothing is kept", async () => {
  const fail = () => {
    throw new RangeError("no such operator");
  };
  await expect(new ModelCache(folder).remember(ingredients, fail)).rejects.toThrow("no such operator");
  expect(() => readdirSync(folder)).toThrow();
});
