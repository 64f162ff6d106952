import { execFileSync } from "node:child_process";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readFileBytes } from "../../../runtime/node/files.ts";
import { makeFolder, makeFolderAtomic, writeFileAtomic } from "../../../runtime/node/index.ts";
import { messageOf } from "../../support/user-error.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "places-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const isWindows = process.platform === "win32";
const fill = async (run: string) => {
  await mkdir(join(run, "graph"));
  await writeFile(join(run, "config.json"), "{}");
};

/** A FIFO, a socket, a device, a link to nothing and two links in a circle. */
async function oddPlaces(): Promise<Readonly<Record<string, string>>> {
  execFileSync("mkfifo", [join(folder, "fifo")]);
  await symlink("/dev/null", join(folder, "device"));
  await symlink("nowhere", join(folder, "dangling"));
  await symlink("circle2", join(folder, "circle"));
  await symlink("circle", join(folder, "circle2"));
  return {
    fifo: "it is a FIFO, not a file",
    socket: "it is a socket, not a file",
    device: "it is a device, not a file",
    dangling: "it is a link to a file that does not exist",
    circle: "its links lead in a circle",
  };
}

describe.skipIf(isWindows)("an odd place", () => {
  test("is neither written over nor waited for, and stays as it is", async () => {
    const reasons = await oddPlaces();
    const server = createServer().listen(join(folder, "socket"));
    const before = await Promise.all(Object.keys(reasons).map((name) => lstat(join(folder, name))));
    for (const [name, reason] of Object.entries(reasons)) {
      const path = join(folder, name);
      expect(await messageOf(writeFileAtomic(path, "x"))).toBe(`${path} cannot be written: ${reason}.`);
      expect(await messageOf(readFileBytes(path))).toBe(`${path} cannot be read: ${reason}.`);
    }
    server.close();
    const after = await Promise.all(
      Object.keys(reasons)
        .filter((name) => name !== "socket")
        .map((name) => lstat(join(folder, name))),
    );
    for (const { ino, mode } of after) expect(before.find((each) => each.ino === ino)?.mode).toBe(mode);
  });

  test("is no place for a folder", async () => {
    await oddPlaces();
    const reasons = {
      fifo: "a file has that name",
      dangling: "it is a link to a folder that does not exist",
      circle: "its links lead in a circle",
    };
    for (const [name, reason] of Object.entries(reasons)) {
      const path = join(folder, name);
      expect(await messageOf(makeFolder(path))).toBe(`${path} cannot be created: ${reason}.`);
    }
  });

  test.runIf(process.platform === "linux")("of /proc, which takes no files, is refused at once", async () => {
    const reason = (what: string) => `the system allows no ${what} there.`;
    for (const path of ["/proc/nope", "/proc/self/fd/x"]) {
      expect(await messageOf(makeFolder(join(path, "deeper")))).toContain(reason("folder"));
      expect(await messageOf(makeFolderAtomic(path, fill))).toBe(
        `${path} cannot be created: ${reason("folder")}`,
      );
      expect(await messageOf(writeFileAtomic(path, "x"))).toBe(
        `${path} cannot be written: ${reason("file")}`,
      );
    }
  });

  test("with a NUL character in its name is refused", async () => {
    const path = join(folder, "a\0b");
    for (const use of [writeFileAtomic(path, "x"), readFileBytes(path), makeFolder(path)])
      expect(await messageOf(use)).toMatch(/ cannot be \w+: the name has a NUL character\.$/);
  });
});

test("a file above 2 GiB is refused before it is read", async () => {
  const path = join(folder, "large");
  await writeFile(path, "");
  await truncate(path, 3 * 2 ** 30);
  expect(await messageOf(readFileBytes(path))).toBe(`${path} cannot be read: it is larger than 2 GiB.`);
});

test.skipIf(isWindows)("a link to a file is followed, and the file keeps its mode", async () => {
  await mkdir(join(folder, "elsewhere"));
  const file = join(folder, "elsewhere", "model.onnx");
  await writeFile(file, "old");
  await chmod(file, 0o640);
  await symlink(join("elsewhere", "model.onnx"), join(folder, "link"));
  await writeFileAtomic(join(folder, "link"), "new");
  expect((await lstat(join(folder, "link"))).isSymbolicLink()).toBe(true);
  expect(await readFile(file, "utf8")).toBe("new");
  expect((await stat(file)).mode & 0o777).toBe(0o640);
  expect(await readdir(join(folder, "elsewhere"))).toEqual(["model.onnx"]);
});

describe("an empty folder that was made beforehand", () => {
  test("becomes the new one, through a link too", async () => {
    await mkdir(join(folder, "made"));
    await symlink("made", join(folder, "link"));
    expect(await makeFolderAtomic(join(folder, "link"), fill, "config.json")).toBe(true);
    expect((await readdir(join(folder, "made"))).sort()).toEqual(["config.json", "graph"]);
    expect(await makeFolderAtomic(join(folder, "link"), fill, "config.json")).toBe(false);
    expect((await readdir(folder)).sort()).toEqual(["link", "made"]);
  });

  test("is filled where it is a mounted one", async ({ skip }) => {
    const disk = join(folder, "disk");
    await mkdir(disk);
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], { stdio: "ignore" });
    } catch {
      return skip("only root can mount a disk");
    }
    try {
      expect(await makeFolderAtomic(disk, fill, "config.json")).toBe(true);
      expect((await readdir(disk)).sort()).toEqual(["config.json", "graph"]);
    } finally {
      execFileSync("umount", [disk]);
    }
  });
});
