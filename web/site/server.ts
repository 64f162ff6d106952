import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { extname, join, resolve, sep } from "node:path";
import { pipeline } from "node:stream/promises";
import { UserError } from "../../graph-builder/errors.ts";

const contentTypes: Readonly<Record<string, string>> = {
  ".bin": "application/octet-stream",
  ".css": "text/css; charset=utf-8",
  ".gz": "application/gzip",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".jpg": "image/jpeg",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".onnx": "application/octet-stream",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/**
 * What the page may do: run its own scripts and workers, compile WebAssembly, fetch its own files, and show
 * pictures that it made itself.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self' blob:",
  // a link may name a model at any address
  "connect-src 'self' https: http:",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "media-src 'self' blob:",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const headers = {
  "Content-Security-Policy": contentSecurityPolicy,
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-store",
  // threads of WebAssembly need cross-origin isolation; without it the page runs on one thread
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
} as const;

const LOCAL = "localhost";

/** How a site is served. */
export interface SiteServerOptions {
  /** Where it is taken, one of the next ten is used. 0 is any free port. */
  readonly port: number;
  /** The address that is listened on; `localhost` where left out, which other machines do not reach. */
  readonly host?: string | undefined;
  /** The milliseconds until a request must be whole. */
  readonly requestMs?: number | undefined;
  /** The milliseconds in which the other side must take a part of an answer. */
  readonly idleMs?: number | undefined;
}

/** A server of the page. */
export interface SiteServer {
  /** `http://localhost:PORT`, which a browser takes for a secure context, or with the address of `host`. */
  readonly origin: string;
  readonly port: number;
  close(): Promise<void>;
}

/** Serves the files of a folder. Throws UserError where none of the ports can be used. */
export async function serveSite(
  folder: string,
  { port, host = LOCAL, requestMs = 10_000, idleMs = 30_000 }: SiteServerOptions,
): Promise<SiteServer> {
  const root = await realpath(folder);
  const server = createServer(
    { headersTimeout: requestMs, requestTimeout: requestMs, connectionsCheckingInterval: requestMs / 4 },
    (request, response) => {
      answer(root, host, request, response).catch(() => response.destroy());
    },
  );
  server.maxConnections = 256;
  server.setTimeout(idleMs, (socket) => socket.destroy());
  const used = await listen(server, port, host);
  return {
    origin: `http://${host.includes(":") ? `[${host}]` : host}:${used}`,
    port: used,
    close: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}

async function listen(server: Server, port: number, host: string): Promise<number> {
  const last = port === 0 ? 0 : Math.min(65_535, port + 10);
  for (let next = port; next <= last; next++) {
    const taken = await new Promise<boolean>((done, reject) => {
      const onError = (error: NodeJS.ErrnoException) =>
        error.code === "EADDRINUSE" || error.code === "EACCES" ? done(true) : reject(unusable(host, error));
      server.once("error", onError);
      server.listen(next, host, () => {
        server.off("error", onError);
        done(false);
      });
    });
    const address = server.address();
    if (!taken && address !== null && typeof address === "object") return address.port;
  }
  throw new UserError(`The ports ${port} to ${last} cannot be used: choose another with --port.`, {
    code: "setting-invalid",
    details: { setting: "port", value: port },
  });
}

function unusable(host: string, error: NodeJS.ErrnoException): UserError {
  return new UserError(`The address ${host} cannot be listened on (${error.code}): choose another --host.`, {
    code: "setting-invalid",
    details: { setting: "host", value: host, system: error.code },
    cause: error,
  });
}

async function answer(
  root: string,
  host: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  // a page of another site must not reach this server by a name that it had resolved to this machine
  const isLocal = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(request.headers.host ?? "");
  if (host === LOCAL && !isLocal) return end(response, 421);
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("Allow", "GET, HEAD");
    return end(response, 405);
  }
  const file = await fileOf(root, request.url ?? "/");
  if (file === undefined) return end(response, 404);
  response.writeHead(200, {
    "Content-Type": contentTypes[extname(file.path).toLowerCase()] ?? "application/octet-stream",
    "Content-Length": file.bytes,
  });
  if (request.method === "HEAD") response.end();
  else await pipeline(createReadStream(file.path), response);
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" }).end();
}

/** The file inside of `root` that a URL names; undefined where there is none. */
async function fileOf(root: string, url: string): Promise<{ path: string; bytes: number } | undefined> {
  const name = pathOf(url);
  if (name === undefined) return undefined;
  const path = join(root, ...name, ...(url.split("?")[0]?.endsWith("/") ? ["index.html"] : []));
  const real = await realpath(path).catch(() => undefined);
  // a link may lead out
  if (real === undefined || !resolve(real).startsWith(root + sep)) return undefined;
  const found = await stat(real);
  return found.isFile() ? { path: real, bytes: found.size } : undefined;
}

/** The parts of the path in a URL; undefined where one of them is hidden, leads up or is no name. */
function pathOf(url: string): string[] | undefined {
  let path: string;
  try {
    path = decodeURIComponent(url.split(/[?#]/)[0] ?? "");
  } catch {
    return undefined;
  }
  if (!path.startsWith("/") || /[\\\0]/.test(path)) return undefined;
  const parts = path.split("/").filter((part) => part !== "");
  return parts.some((part) => part.startsWith(".") || part.includes(":")) ? undefined : parts;
}
