import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** What a server does to one request for its archive. */
export type Answer = (archive: Uint8Array, request: IncomingMessage, response: ServerResponse) => void;

/**
 * A server on this machine that answers its requests one after the other as told, the last answer for all that follow.
 */
export class ArchiveServer {
  /** the Range of each request so far, "all" for one without */
  readonly ranges: string[] = [];
  readonly #server = createServer((request, response) => {
    const answer = this.#answers[Math.min(this.ranges.length, this.#answers.length - 1)];
    this.ranges.push(request.headers.range ?? "all");
    answer?.(this.#archive, request, response);
  });
  readonly #archive: Uint8Array;
  readonly #answers: readonly Answer[];

  constructor(archive: Uint8Array, ...answers: readonly Answer[]) {
    this.#archive = archive;
    this.#answers = answers;
  }

  /** Starts to listen and returns the archive's address. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/archive.tar.gz`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** The bytes asked for, with status 206 where it is a range. */
export const serve: Answer = (archive, request, response) => {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (start > 0)
    response.setHeader("content-range", `bytes ${start}-${archive.length - 1}/${archive.length}`);
  response.writeHead(start > 0 ? 206 : 200, { "content-length": archive.length - start });
  response.end(archive.subarray(start));
};

/** Like `serve`, but the connection breaks half-way through what is left. */
export const serveHalf: Answer = (archive, request, response) => {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (start > 0)
    response.setHeader("content-range", `bytes ${start}-${archive.length - 1}/${archive.length}`);
  response.writeHead(start > 0 ? 206 : 200, { "content-length": archive.length - start });
  response.write(archive.subarray(start, Math.ceil((start + archive.length) / 2)), () => {
    setTimeout(() => response.destroy(), 20);
  });
};

/** The whole archive whatever range is asked for. */
export const ignoreRange: Answer = (archive, _, response) => {
  response.writeHead(200, { "content-length": archive.length });
  response.end(archive);
};
