import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { UserError } from "../../../graph-builder/errors.ts";
import { writeRange } from "../file-range.ts";

/** A file at an address, known beforehand. */
export interface Remote {
  /** The common name of the data set. */
  readonly title: string;
  readonly url: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** A file of a data set, with its digest in hexadecimal: MD5 where nobody publishes the SHA-256. */
export type PublishedFile = { readonly name: string; readonly bytes: number } & (
  | { readonly sha256: string }
  | { readonly md5: string }
);

/** Whether files are the expected ones by their sizes alone, or by their digests too. */
export type FileCheck = "size" | "digest";

/** Called with the number of bytes on disk and of the whole. */
export type OnReceived = (received: number, total: number) => void;

/** The algorithm of a published digest, and the digest. */
export function publishedDigest(file: PublishedFile): readonly [algorithm: "sha256" | "md5", hex: string] {
  return "sha256" in file ? ["sha256", file.sha256] : ["md5", file.md5];
}

/** Whether a folder has all files. */
export async function hasFiles(
  folder: string,
  files: readonly PublishedFile[],
  check: FileCheck,
): Promise<boolean> {
  for (const file of files) {
    const path = join(folder, file.name);
    if ((await sizeIfThere(path)) !== file.bytes) return false;
    const [algorithm, hex] = publishedDigest(file);
    if (check === "digest" && (await digestOf(path, algorithm)) !== hex) return false;
  }
  return true;
}

async function digestOf(path: string, algorithm: "sha256" | "md5"): Promise<string> {
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest("hex");
}

/** The size of a file in bytes; undefined where there is none. */
export function sizeIfThere(path: string): Promise<number | undefined> {
  return stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}

/** Why a path was refused; the code of another system or network error; its message where it has no code. */
export function reasonOf(error: unknown): string {
  if (error instanceof UserError) return String(error.details["reason"] ?? error.message);
  if (!(error instanceof Error)) return String(error);
  const { code } = error as NodeJS.ErrnoException;
  if (code !== undefined) return code;
  return error.cause === undefined ? error.message : reasonOf(error.cause);
}

function unavailable({ title, url, bytes }: Remote, reason: string, received: number): UserError {
  return new UserError(
    `${title} could not be downloaded from ${url} (${reason} after ${received} of ${bytes} bytes): run again to go on from there, or fetch it elsewhere and give its folder with --data-dir.`,
    { code: "download-failed" },
  );
}

/** Downloads until the file is whole. Throws UserError where a request brings no further bytes. */
export async function receive(
  remote: Remote,
  part: string,
  onProgress: OnReceived | undefined,
): Promise<void> {
  let received = (await sizeIfThere(part)) ?? 0;
  while (received < remote.bytes) {
    const failure = await request(remote, part, received, onProgress).then(
      () => "the connection was cut",
      networkFailure,
    );
    const size = (await sizeIfThere(part)) ?? 0;
    if (size <= received) throw unavailable(remote, failure, size);
    received = size;
  }
}

/** The reason of an error of fetch, which is always a TypeError; throws every other error again. */
function networkFailure(error: unknown): string {
  if (error instanceof TypeError) return reasonOf(error);
  throw error;
}

/** Asks for the bytes from `start` on and writes them at their place in the file. */
async function request(
  remote: Remote,
  part: string,
  start: number,
  onProgress: OnReceived | undefined,
): Promise<void> {
  const range: Record<string, string> = start === 0 ? {} : { range: `bytes=${start}-` };
  const response = await fetch(remote.url, { headers: { "accept-encoding": "identity", ...range } });
  let offset = await firstByte(remote, part, start, response);
  const file = await open(part, constants.O_WRONLY | constants.O_CREAT);
  try {
    for await (const chunk of response.body ?? []) {
      if (offset + chunk.length > remote.bytes) throw unavailable(remote, "the file is too long", offset);
      await writeRange(file, chunk, offset);
      offset += chunk.length;
      onProgress?.(offset, remote.bytes);
    }
  } finally {
    await file.close();
  }
}

/** The offset of a response's first byte in the file: 0 where the server does not support ranges. */
async function firstByte(remote: Remote, part: string, start: number, response: Response): Promise<number> {
  const { status, headers } = response;
  const rangeStart = /^bytes (\d+)-/.exec(headers.get("content-range") ?? "")?.[1];
  const offset = status === 206 ? Number(rangeStart) : 0;
  const length = headers.get("content-length") ?? remote.bytes - offset;
  let fault: string | undefined;
  if (status !== 200 && status !== 206) fault = `HTTP ${status}`;
  else if (!(offset <= start)) fault = "the server sent another range";
  else if (offset + Number(length) !== remote.bytes)
    fault = `the server has ${offset + Number(length)} bytes`;
  if (fault === undefined) return offset;
  await response.body?.cancel();
  if (status === 416) await rm(part, { force: true });
  throw unavailable(remote, fault, start);
}

/** Checks the SHA-256 of a download. Deletes a wrong one, so that the next run starts again. */
export async function verify({ title, url, sha256 }: Remote, part: string): Promise<void> {
  const found = await digestOf(part, "sha256");
  if (found === sha256) return;
  await rm(part, { force: true });
  throw new UserError(
    `The file from ${url} is not ${title}: its SHA-256 is ${found}, not ${sha256}. It was deleted: run again, or give a folder with --data-dir.`,
    { code: "data-damaged" },
  );
}
