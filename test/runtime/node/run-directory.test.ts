import { chmod, mkdir, readdir, realpath, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { encodeCheckpoint, type Manifest } from "../../../artifacts/index.ts";
import {
  type EpochLine,
  isRun,
  RunDirectory,
  runOfCheckpoint,
  runOwning,
} from "../../../runtime/node/run/run-directory.ts";
import { openRun } from "../../../shakenet/node/run.ts";
import { asNobody } from "../../support/as-nobody.ts";
import { temporaryFolder } from "../../support/shake.ts";

const folder = temporaryFolder();

test("a folder that may not be looked into is called so, and not a folder without a run", async () => {
  const path = join(folder, "forbidden");
  await mkdir(path);
  await writeFile(join(path, "config.json"), "{}");
  await chmod(folder, 0o755);
  await chmod(path, 0o600);
  await asNobody(async () => {
    const refusal = {
      name: "UserError",
      message: `${path} cannot be read: permission is missing.`,
      code: "file-unreadable",
    };
    await expect(isRun(path)).rejects.toMatchObject(refusal);
    await expect(openRun(path)).rejects.toMatchObject(refusal);
    await expect(runOfCheckpoint(join(path, "checkpoints/last"))).rejects.toMatchObject(refusal);
    // what cannot be looked into cannot be overwritten
    expect(await runOwning(join(path, "config.json"))).toBeUndefined();
  });
  await chmod(path, 0o755);
  expect(await isRun(path)).toBe(true);
  expect(await runOwning(join(path, "config.json"))).toBe(await realpath(path));
  for (const other of [folder, join(folder, "missing"), join(path, "config.json")]) {
    expect(await isRun(other), other).toBe(false);
    await expect(openRun(other)).rejects.toMatchObject({ code: "run-missing" });
  }
});

test("a last checkpoint that cannot be read is refused, and not taken for a damaged one", async () => {
  const path = join(folder, "run");
  const last = join(path, "checkpoints/last");
  await mkdir(last, { recursive: true });
  await writeFile(join(path, "config.json"), "{}");
  const best = { trainable: new Map(), frozen: new Map(), properties: new Map([["step", 5n]]) };
  await writeFile(join(path, "checkpoints/best"), encodeCheckpoint(best));
  const format = {
    configOf: (raw: object) => raw,
    isManifest: (each: Manifest): each is Manifest => each.format === 1,
    recordOf: (line: string): EpochLine => JSON.parse(line),
  };
  const run = await RunDirectory.open(format, path);
  await expect(run.mendLast()).rejects.toMatchObject({
    message: `${last} cannot be read: it is a folder.`,
    code: "file-unreadable",
  });
  expect(await readdir(join(path, "checkpoints"))).toEqual(["best", "last"]);
  await rm(last, { recursive: true });
  expect(await run.mendLast()).toContain("goes on from");
});
