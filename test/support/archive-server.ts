import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { portOf } from "./port.ts";

/** Answers one request for the archive. */
export type Answer = (archive: Uint8Array, request: IncomingMessage, response: ServerResponse) => void;

/**
 * A server on this machine. It gives the first answer to the first request, and so on; the last one
 * repeats.
 */
export class ArchiveServer {
  /** The Range header of each request so far, or "all" where it has none. */
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

  /** Starts the server. Returns the URL of the archive. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${portOf(this.#server)}/archive.tar.gz`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Sends the requested bytes, with status 206 for a range. */
export const serve: Answer = (archive, request, response) => {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (start > 0)
    response.setHeader("content-range", `bytes ${start}-${archive.length - 1}/${archive.length}`);
  response.writeHead(start > 0 ? 206 : 200, { "content-length": archive.length - start });
  response.end(archive.subarray(start));
};

/** Like `serve`, but the connection breaks after half of the requested bytes. */
export const serveHalf: Answer = (archive, request, response) => {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (start > 0)
    response.setHeader("content-range", `bytes ${start}-${archive.length - 1}/${archive.length}`);
  response.writeHead(start > 0 ? 206 : 200, { "content-length": archive.length - start });
  response.write(archive.subarray(start, Math.ceil((start + archive.length) / 2)), () => {
    setTimeout(() => response.destroy(), 20);
  });
};

/** Sends the whole archive for every range. */
export const ignoreRange: Answer = (archive, _, response) => {
  response.writeHead(200, { "content-length": archive.length });
  response.end(archive);
};
