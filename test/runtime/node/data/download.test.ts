import { createHash, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "tar";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Archive, downloadArchive } from "../../../../runtime/node/data/download.ts";
import {
  type Answer,
  ArchiveServer,
  ignoreRange,
  serve,
  serveHalf,
} from "../../../support/archive-server.ts";
import { messageOf } from "../../../support/user-error.ts";

const contents = { "a.bin": randomBytes(100_000), "b.bin": randomBytes(50_000) };
const files = Object.entries(contents).map(([name, bytes]) => ({
  name,
  bytes: bytes.length,
  sha256: createHash("sha256").update(bytes).digest("hex"),
}));

let folder: string;
let cacheDir: string;
let servers: ArchiveServer[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "shakenet-download-"));
  cacheDir = join(folder, "cache");
  servers = [];
});

afterEach(async () => {
  for (const server of servers) await server.stop();
  await rm(folder, { recursive: true });
});

/** A .tar.gz of the files, and of further paths relative to a folder beside them. */
async function pack(...further: string[]): Promise<Buffer> {
  const source = join(folder, "source", "inner");
  await mkdir(join(source, "data"), { recursive: true });
  await writeFile(join(source, "..", "evil.txt"), "evil");
  await writeFile(join(source, "data", "readme.html"), "not wanted");
  for (const [name, bytes] of Object.entries(contents)) await writeFile(join(source, "data", name), bytes);
  const file = join(folder, "source.tar.gz");
  await create({ file, gzip: true, cwd: source, preservePaths: true }, [...further, "data"]);
  return readFile(file);
}

/** Serves bytes and describes them as the archive. */
async function publish(
  bytes: Buffer,
  ...answers: Answer[]
): Promise<{ archive: Archive; server: ArchiveServer }> {
  const server = new ArchiveServer(bytes, ...answers);
  servers.push(server);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const url = await server.start();
  return { archive: { title: "Data", url, bytes: bytes.length, sha256, folder: "data", files }, server };
}

async function expectWhole(path: string): Promise<void> {
  expect(path).toBe(join(cacheDir, "data"));
  expect((await readdir(path)).sort()).toEqual(Object.keys(contents));
  for (const [name, bytes] of Object.entries(contents)) {
    expect(bytes.equals(await readFile(join(path, name)))).toBe(true);
  }
  expect(await readdir(cacheDir)).toEqual(["data"]);
}

describe("downloadArchive", () => {
  test("downloads, unpacks only the files it knows, and leaves nothing else in the cache", async () => {
    const { archive, server } = await publish(await pack(), serve);
    await expectWhole(await downloadArchive(archive, { cacheDir }));
    expect(server.ranges).toEqual(["all"]);
  });

  test("tells of its progress up to the whole archive", async () => {
    const { archive } = await publish(await pack(), serveHalf, serve);
    const seen: number[] = [];
    const onProgress = (received: number, total: number) => {
      expect(total).toBe(archive.bytes);
      seen.push(received);
    };
    await downloadArchive(archive, { cacheDir, onProgress });
    expect(seen.at(-1)).toBe(archive.bytes);
    expect([...seen].sort((a, b) => a - b)).toEqual(seen);
  });

  test("does not ask the network again for what the cache has whole", async () => {
    const { archive, server } = await publish(await pack(), serve);
    await downloadArchive(archive, { cacheDir });
    await expectWhole(await downloadArchive(archive, { cacheDir }));
    expect(server.ranges).toHaveLength(1);
  });

  test("repairs a cache of which a file is cut off", async () => {
    const { archive } = await publish(await pack(), serve);
    await writeFile(join(await downloadArchive(archive, { cacheDir }), "b.bin"), "cut");
    await expectWhole(await downloadArchive(archive, { cacheDir }));
  });

  test("repairs a cache of which a file has other bytes, where it is asked to check them", async () => {
    const { archive, server } = await publish(await pack(), serve);
    await writeFile(join(await downloadArchive(archive, { cacheDir }), "b.bin"), randomBytes(50_000));
    await downloadArchive(archive, { cacheDir });
    expect(server.ranges).toHaveLength(1);
    await expectWhole(await downloadArchive(archive, { cacheDir, check: "digest" }));
    await downloadArchive(archive, { cacheDir, check: "digest" });
    expect(server.ranges).toHaveLength(2);
  });

  test("goes on where a broken connection stopped", async () => {
    const { archive, server } = await publish(await pack(), serveHalf, serveHalf, serve);
    await expectWhole(await downloadArchive(archive, { cacheDir }));
    const half = Math.ceil(archive.bytes / 2);
    expect(server.ranges).toEqual([
      "all",
      `bytes=${half}-`,
      `bytes=${Math.ceil((half + archive.bytes) / 2)}-`,
    ]);
  });

  test("goes on in a later run, after a failure that tells how far it came", async () => {
    const unavailable: Answer = (_, __, response) => response.writeHead(503).end("busy");
    const { archive, server } = await publish(await pack(), serveHalf, unavailable, serve);
    const half = Math.ceil(archive.bytes / 2);
    const message = await messageOf(downloadArchive(archive, { cacheDir }));
    expect(message).toContain(
      `(HTTP 503 after ${half} of ${archive.bytes} bytes): run again to go on from there`,
    );
    await expectWhole(await downloadArchive(archive, { cacheDir }));
    expect(server.ranges.at(-1)).toBe(`bytes=${half}-`);
  });

  test("starts afresh with a server that ignores ranges", async () => {
    const { archive, server } = await publish(await pack(), serveHalf, ignoreRange);
    await expectWhole(await downloadArchive(archive, { cacheDir }));
    expect(server.ranges).toHaveLength(2);
  });

  test("gives up on a server that never gets beyond the same place", async () => {
    const alwaysHalf: Answer = (bytes, request, response) => {
      delete request.headers.range;
      serveHalf(bytes, request, response);
    };
    const { archive, server } = await publish(await pack(), alwaysHalf);
    expect(await messageOf(downloadArchive(archive, { cacheDir }))).toMatch(/could not be downloaded/);
    expect(server.ranges).toHaveLength(2);
  });

  test("deletes an archive with a wrong checksum, so that the next run can succeed", async () => {
    const bytes = await pack();
    const spoilt: Answer = (archive, _, response) =>
      response.end(Uint8Array.from(archive, (byte) => byte ^ 1));
    const { archive } = await publish(bytes, spoilt, serve);
    const message = await messageOf(downloadArchive(archive, { cacheDir }));
    expect(message).toContain(`The file from ${archive.url} is not Data: its SHA-256 is `);
    expect(message).toContain(archive.sha256);
    expect(await readdir(cacheDir)).toEqual([]);
    await expectWhole(await downloadArchive(archive, { cacheDir }));
  });

  test("refuses a file of another size before it is downloaded", async () => {
    const page: Answer = (_, __, response) => response.end("<html>please sign in</html>");
    const { archive } = await publish(await pack(), page);
    expect(await messageOf(downloadArchive(archive, { cacheDir }))).toContain(
      "(the server has 27 bytes after 0 of",
    );
    expect(await readdir(cacheDir)).toEqual([]);
  });

  test("stops a stream that is longer than the archive", async () => {
    const endless: Answer = (bytes, _, response) => {
      response.write(bytes);
      response.write(bytes);
    };
    const { archive } = await publish(await pack(), endless);
    expect(await messageOf(downloadArchive(archive, { cacheDir }))).toContain("(the file is too long after");
  });

  test("refuses a range other than the one asked for", async () => {
    const shifted: Answer = (bytes, _, response) => {
      response.writeHead(206, {
        "content-range": `bytes ${bytes.length - 1}-${bytes.length - 1}/${bytes.length}`,
      });
      response.end(bytes.subarray(-1));
    };
    const { archive } = await publish(await pack(), serveHalf, shifted);
    expect(await messageOf(downloadArchive(archive, { cacheDir }))).toContain(
      "(the server sent another range after",
    );
  });

  test("forgets a part that is longer than what the server has", async () => {
    const shrunk: Answer = (_, __, response) => response.writeHead(416).end();
    const { archive } = await publish(await pack(), serveHalf, shrunk, serve);
    expect(await messageOf(downloadArchive(archive, { cacheDir }))).toContain("(HTTP 416 after");
    expect(await readdir(cacheDir)).toEqual([]);
    await expectWhole(await downloadArchive(archive, { cacheDir }));
  });

  test("without a network says so in one sentence that tells of --data-dir", async () => {
    const { archive, server } = await publish(await pack(), serve);
    await server.stop();
    const message = await messageOf(downloadArchive(archive, { cacheDir }));
    expect(message).toBe(
      `Data could not be downloaded from ${archive.url} (ECONNREFUSED after 0 of ${archive.bytes} bytes): run again to go on from there, or fetch it elsewhere and give its folder with --data-dir.`,
    );
  });

  test("never writes a path that leads out of its folder", async () => {
    const { archive } = await publish(await pack("../evil.txt", join(folder, "source", "evil.txt")), serve);
    await rm(join(folder, "source"), { recursive: true });
    await expectWhole(await downloadArchive(archive, { cacheDir }));
    expect((await readdir(folder)).sort()).toEqual(["cache", "source.tar.gz"]);
  });

  test("refuses an archive that lacks a file, and leaves no half-unpacked folder", async () => {
    const { archive } = await publish(await pack(), serve);
    const missing = { ...archive, files: [...files, { name: "c.bin", bytes: 1, sha256: "" }] };
    expect(await messageOf(downloadArchive(missing, { cacheDir }))).toContain("lacks files of Data");
    expect(await readdir(cacheDir)).toEqual(["data.tar.gz.part"]);
  });

  test("says so where the cache cannot be written, and names SHAKE_CACHE_DIR", async () => {
    const { archive } = await publish(await pack(), serve);
    await writeFile(cacheDir, "a file where the folder should be");
    const message = await messageOf(downloadArchive(archive, { cacheDir }));
    expect(message).toMatch(/Data could not be stored in .*cache \(a file has that name\).*SHAKE_CACHE_DIR/);
  });

  test("two runs at the same time both get the whole data", async () => {
    const { archive } = await publish(await pack(), serve);
    const both = [downloadArchive(archive, { cacheDir }), downloadArchive(archive, { cacheDir })];
    for (const path of await Promise.all(both)) await expectWhole(path);
  });
});
