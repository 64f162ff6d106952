import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";
import { pipeline } from "node:stream/promises";
import { type Browser, chromium, type Page } from "playwright-core";
import { portOf } from "./port.ts";

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

/** The arguments of a Chromium with WebGPU in software, or on this machine's graphics card. */
const webgpuArguments = {
  software: ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
  "graphics-card": ["--enable-unsafe-webgpu", "--enable-features=Vulkan"],
} as const;

/**
 * Starts a headless Chromium; `webgpu` adds WebGPU, in software where it is true. Throws where Chromium is
 * not installed.
 */
export async function openBrowser({
  webgpu = false,
}: {
  webgpu?: boolean | keyof typeof webgpuArguments;
} = {}): Promise<Browser> {
  if (!existsSync(executablePath)) {
    throw new Error(
      `There is no Chromium at ${executablePath}: install it ("apt install chromium"), or set CHROMIUM to its path.`,
    );
  }
  const added = webgpu ? webgpuArguments[webgpu === true ? "software" : webgpu] : [];
  const args = ["--no-sandbox", "--js-flags=--expose-gc", ...added];
  return chromium.launch({ executablePath, args });
}

/** Opens a page. `errors` collects its uncaught exceptions, console errors and failed requests. */
export async function openPage(browser: Browser, url: string): Promise<{ page: Page; errors: string[] }> {
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on("pageerror", (error) => errors.push(`uncaught: ${error.stack ?? error}`));
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on("requestfailed", (request) =>
    errors.push(`request: ${request.url()} ${request.failure()?.errorText}`),
  );
  await page.goto(url);
  return { page, errors };
}

/** A running server of static files. */
export interface StaticServer {
  /** `http://localhost:<port>`, which is a secure context. */
  readonly origin: string;
  close(): Promise<void>;
}

/**
 * Serves folders at paths, such as `{ "/": "web/dist", "/data/": "/tmp/data" }`, on a free port of this
 * machine. The longest matching path wins. `isolated` adds the headers that a page needs for
 * SharedArrayBuffer, which WebAssembly threads use.
 */
export async function serveFolders(
  folders: Readonly<Record<string, string>>,
  { isolated = false } = {},
): Promise<StaticServer> {
  const server = createServer((request, response) => {
    if (isolated) {
      response.setHeader("cross-origin-opener-policy", "same-origin");
      response.setHeader("cross-origin-embedder-policy", "require-corp");
    }
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    send(findFile(folders, decodeURIComponent(path)), path, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  return {
    origin: `http://localhost:${portOf(server)}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const contentTypes: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

function findFile(folders: Readonly<Record<string, string>>, path: string): string | undefined {
  const mounts = Object.keys(folders).sort((a, b) => b.length - a.length);
  const mount = mounts.find((prefix) => path.startsWith(prefix));
  const folder = mount === undefined ? undefined : folders[mount];
  if (mount === undefined || folder === undefined) return undefined;
  const file = join(folder, normalize(`/${path.slice(mount.length)}`));
  const named = statSync(file, { throwIfNoEntry: false })?.isDirectory() ? join(file, "index.html") : file;
  return statSync(named, { throwIfNoEntry: false })?.isFile() ? named : undefined;
}

function send(file: string | undefined, path: string, response: ServerResponse): void {
  if (file === undefined) {
    // every browser requests this icon
    response.writeHead(path === "/favicon.ico" ? 204 : 404).end();
    return;
  }
  response.writeHead(200, {
    "content-type": contentTypes[extname(file)] ?? "application/octet-stream",
    "content-length": statSync(file).size,
    "cache-control": "no-store",
  });
  // a browser may close the connection before the end
  pipeline(createReadStream(file), response).catch(() => response.destroy());
}
