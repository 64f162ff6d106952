import { execFileSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { UserError } from "../../../graph-builder/errors.ts";
import { readFileBytes } from "../../../runtime/node/files.ts";
import { writeFileAtomic } from "../../../runtime/node/index.ts";
import { asNobody } from "../../support/as-nobody.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "files-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Runs `body` in an empty file system of 64 KiB; skips the test where mounting is not allowed. */
async function inTinyDisk(
  skip: (note: string) => void,
  body: (disk: string) => Promise<void>,
): Promise<void> {
  const disk = join(folder, "disk");
  await mkdir(disk);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], { stdio: "ignore" });
  } catch {
    return skip("only root can mount a tiny disk");
  }
  try {
    await body(disk);
  } finally {
    execFileSync("umount", [disk]);
  }
}

test("a file is written whole, and its old content replaced", async () => {
  const path = join(folder, "checkpoint");
  await writeFileAtomic(path, "an old and longer text");
  await writeFileAtomic(path, Uint8Array.of(1, 2, 3));
  expect(await readFileBytes(path)).toEqual(Uint8Array.of(1, 2, 3));
  expect(await readdir(folder)).toEqual(["checkpoint"]);
});

test("writers of one file at the same time leave one of their contents whole", async () => {
  const path = join(folder, "checkpoint");
  const contents = [1, 2, 3, 4].map((value) => new Uint8Array(100_000).fill(value));
  await Promise.all(contents.map((content) => writeFileAtomic(path, content)));
  const bytes = await readFileBytes(path);
  expect(contents).toContainEqual(bytes);
  expect(await readdir(folder)).toEqual(["checkpoint"]);
});

test("a full disk is one sentence, the old file stays and no temporary file is left", async ({ skip }) => {
  await inTinyDisk(skip, async (disk) => {
    const path = join(disk, "checkpoint");
    await writeFileAtomic(path, "the old one");
    const write = writeFileAtomic(path, new Uint8Array(1_000_000));
    await expect(write).rejects.toMatchObject({
      name: "UserError",
      message: `${path} cannot be written: the disk is full.`,
      code: "file-unwritable",
    });
    expect(await readFile(path, "utf8")).toBe("the old one");
    expect(await readdir(disk)).toEqual(["checkpoint"]);
  });
});

test("a read-only disk is one sentence and the old file stays", async ({ skip }) => {
  await inTinyDisk(skip, async (disk) => {
    const path = join(disk, "checkpoint");
    await writeFileAtomic(path, "the old one");
    execFileSync("mount", ["-o", "remount,ro", disk]);
    const write = writeFileAtomic(path, "the new one");
    await expect(write).rejects.toMatchObject({
      name: "UserError",
      message: `${path} cannot be written: the file system is read-only.`,
      code: "file-unwritable",
    });
    expect(await readFile(path, "utf8")).toBe("the old one");
  });
});

test("a folder and a file without permission are one sentence each", async () => {
  const path = join(folder, "checkpoint");
  await writeFile(path, "the old one");
  await chmod(path, 0o000);
  await chmod(folder, 0o555);
  await asNobody(async () => {
    const write = writeFileAtomic(path, "the new one");
    await expect(write).rejects.toMatchObject({
      name: "UserError",
      message: `${path} cannot be written: permission is missing.`,
      code: "file-unwritable",
    });
    const read = readFileBytes(path);
    await expect(read).rejects.toMatchObject({
      name: "UserError",
      message: `${path} cannot be read: permission is missing.`,
      code: "file-unreadable",
    });
  });
  await chmod(folder, 0o755);
  await chmod(path, 0o644);
  expect(await readFile(path, "utf8")).toBe("the old one");
});

test("a missing folder, a folder in the file's place and a file in the folder's place are named", async () => {
  const place = join(folder, "place");
  await mkdir(place);
  await writeFile(join(folder, "file"), "");
  const refusals = [
    [join(folder, "missing", "checkpoint"), "its folder does not exist"],
    [place, "it is a folder"],
    [join(folder, "file", "checkpoint"), "a part of the path is not a folder"],
  ] as const;
  for (const [path, reason] of refusals) {
    await expect(writeFileAtomic(path, "x")).rejects.toMatchObject({
      name: "UserError",
      message: `${path} cannot be written: ${reason}.`,
      code: "file-unwritable",
    });
  }
  expect((await readdir(folder)).sort()).toEqual(["file", "place"]);
});

test("a missing file is named with the nearest one that exists", async () => {
  await writeFileAtomic(join(folder, "checkpoint"), "");
  const path = join(folder, "chekpoint");
  const sentence = `${path} does not exist. Did you mean checkpoint?`;
  await expect(readFileBytes(path)).rejects.toMatchObject({
    name: "UserError",
    message: sentence,
    code: "file-missing",
  });
  await expect(readFileBytes(join(folder, "a", "b"))).rejects.toThrow(UserError);
  await expect(readFileBytes(folder)).rejects.toThrow(`${folder} cannot be read: it is a folder.`);
});
