import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { UserError } from "../../graph-builder/errors.ts";
import { downloadArchive } from "../../runtime/node/data/download.ts";
import { type Answer, ArchiveServer, serve } from "../support/archive-server.ts";
import { makeScenarios } from "./scenarios.ts";
import { sentenceOf, shake } from "./shake.ts";
import type { Outcome, Tally } from "./tally.ts";

/** A member of a tar archive: its name, the type of POSIX ustar, and what a link leads to. */
interface Member {
  readonly name: string;
  readonly type?: string;
  readonly target?: string;
  readonly content?: string;
}

const wanted = "the data";
const file: Member = { name: "data/a.bin", content: wanted };

/** The members of archives that are hostile to `place`, in which the folder of the cache lies. */
function hostileMembers(place: string): Readonly<Record<string, readonly Member[]>> {
  return {
    "a path above its folder": [{ name: "../evil", content: "x" }, file],
    "a path above from inside": [{ name: "data/../../evil", content: "x" }, file],
    "an absolute path": [{ name: join(place, "evil"), content: "x" }, file],
    "a symbolic link that a file follows": [{ name: "data", type: "2", target: ".." }, file],
    "a symbolic link for the file": [{ name: "data/a.bin", type: "2", target: "../../victim" }],
    "a hard link for the file": [{ name: "data/a.bin", type: "1", target: "../victim" }],
    "a device": [{ name: "data/a.bin", type: "3" }],
    "a FIFO": [{ name: "data/a.bin", type: "6" }],
    "a folder for the file": [{ name: "data/a.bin", type: "5" }],
    "a name with a NUL character": [{ name: "data/a.bin\0../evil", content: wanted }],
    "the file twice": [{ name: "data/a.bin", content: "other" }, file],
    "no member": [],
  };
}

/** A tar archive (POSIX ustar, pax specification). */
function tarOf(members: readonly Member[]): Uint8Array {
  const blocks = members.flatMap(({ name, type = "0", target = "", content = "" }) => {
    const header = Buffer.alloc(512);
    header.write(name, 0, 100, "latin1");
    header.write(`0000644\0${"0000000\0".repeat(2)}`, 100);
    header.write(`${content.length.toString(8).padStart(11, "0")}\0${"0".repeat(11)}\0        ${type}`, 124);
    header.write(target, 157);
    header.write("ustar\x0000", 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
    body.write(content);
    return [header, body];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

const servers: Readonly<Record<string, Answer>> = {
  "an error of the server": (_archive, _request, response) => void response.writeHead(500).end(),
  "nothing found": (_archive, _request, response) => void response.writeHead(404).end("<html>"),
  "a redirect to itself": (_archive, _request, response) =>
    void response.writeHead(302, { location: "/archive.tar.gz" }).end(),
  "a closed connection": (_archive, _request, response) => void response.destroy(),
  "another length": (_archive, _request, response) => void response.writeHead(200).end("short"),
  "another file of that length": (archive, _request, response) =>
    void response.end(Buffer.alloc(archive.length)),
  "an endless body": (_archive, _request, response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write(Buffer.alloc(65_536)), 1);
    response.on("close", () => clearInterval(timer));
  },
  "a range that was not asked for": (archive, _request, response) =>
    void response.writeHead(206, { "content-range": `bytes 5-9/${archive.length}` }).end("12345"),
};

/** Downloads hostile archives, and an archive from hostile servers: nothing may be written elsewhere. */
export async function hostileArchives(folder: string, tally: Tally): Promise<void> {
  for (const what of Object.keys(hostileMembers(folder))) {
    const place = join(folder, what);
    const archive = tarOf(hostileMembers(place)[what] ?? []);
    tally.add("hostile archive", await download(place, archive, serve), what);
  }
  for (const [what, answer] of Object.entries(servers))
    tally.add("hostile server", await download(join(folder, what), tarOf([file]), answer), what);
}

function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

async function download(place: string, tar: Uint8Array, answer: Answer): Promise<Outcome> {
  await mkdir(place);
  await writeFile(join(place, "victim"), "untouched");
  const bytes = gzipSync(tar);
  const server = new ArchiveServer(bytes, answer);
  const archive = {
    title: "Data",
    url: await server.start(),
    bytes: bytes.length,
    sha256: sha256(bytes),
    folder: "data",
    files: [{ name: "a.bin", bytes: wanted.length, sha256: sha256(wanted) }],
  };
  try {
    const found = await downloadArchive(archive, { cacheDir: join(place, "cache") });
    if ((await readFile(join(found, "a.bin"), "utf8")) !== wanted) return "silently other";
    return await outsideOf(place, "right");
  } catch (error) {
    return error instanceof UserError ? await outsideOf(place, "a sentence") : "stack trace";
  } finally {
    await server.stop();
  }
}

/** The outcome, or `lost` where something outside of the cache has changed. */
async function outsideOf(place: string, outcome: Outcome): Promise<Outcome> {
  const names = (await readdir(place)).filter((name) => name !== "cache").join();
  const left = (await readdir(join(place, "cache"))).some((name) => name.endsWith(".tmp"));
  if (names !== "victim" || (await readFile(join(place, "victim"), "utf8")) !== "untouched") return "lost";
  return left ? "left behind" : outcome;
}

/** Two commands at once on one folder or file: one result is whole, and a refusal is a sentence. */
export async function twoWriters(folder: string, count: number, tally: Tally): Promise<void> {
  const reference = join(folder, "reference-of-two");
  await mkdir(reference);
  const scenarios = await makeScenarios(reference);
  for (let i = 0; i < count; i++) {
    const scenario = scenarios[i % scenarios.length];
    if (!scenario) return;
    const place = join(folder, `two-${i}`);
    await mkdir(place);
    await scenario.prepare(place);
    const both = await Promise.all([1, 2].map(() => shake(place, scenario.command)));
    const isSaid = both.every((ended) => ended.code === 0 || sentenceOf(ended) !== undefined);
    const outcome = isSaid ? await scenario.judge(place).catch(() => "lost" as const) : "stack trace";
    tally.add(`two writers: ${scenario.name}`, outcome, both.map(({ stderr }) => stderr).join(" / "));
  }
}
