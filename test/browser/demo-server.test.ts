import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type SiteServer, serveSite } from "../../web/site/server.ts";
import { temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const site = join(folder, "site");
let server: SiteServer;

beforeAll(async () => {
  mkdirSync(join(site, "model"), { recursive: true });
  writeFileSync(join(folder, "secret.txt"), "secret");
  for (const name of [
    "index.html",
    "a.js",
    "a.mjs",
    "a.css",
    "a.wasm",
    "a.wasm.gz",
    "model/m.onnx",
    ".hidden",
  ])
    writeFileSync(join(site, name), name);
  writeFileSync(join(site, "large.bin"), Buffer.alloc(64e6));
  symlinkSync("../secret.txt", join(site, "link.txt"));
  server = await serveSite(site, { port: 0, requestMs: 400, idleMs: 600 });
});
afterAll(() => server.close());

/** The status and the headers of a request whose path is sent as it is. */
function get(path: string, { method = "GET", host = "localhost" } = {}) {
  return new Promise<{ status: number | undefined; headers: Record<string, unknown>; text: string }>(
    (done, reject) => {
      const { hostname, port } = new URL(server.origin);
      const asked = request({ hostname, port, path, method, headers: { host } }, (response) => {
        let text = "";
        response.on("data", (chunk: Buffer) => {
          text += chunk;
        });
        response.on("end", () => done({ status: response.statusCode, headers: response.headers, text }));
      });
      asked.on("error", reject).end();
    },
  );
}

test("a file has its content type, and no browser guesses another", async () => {
  for (const [path, type, text] of [
    ["/", "text/html; charset=utf-8", "index.html"],
    ["/index.html?x=1", "text/html; charset=utf-8", "index.html"],
    ["/a.js", "text/javascript; charset=utf-8", "a.js"],
    ["/a.mjs", "text/javascript; charset=utf-8", "a.mjs"],
    ["/a.css", "text/css; charset=utf-8", "a.css"],
    ["/a.wasm", "application/wasm", "a.wasm"],
    ["/a.wasm.gz", "application/gzip", "a.wasm.gz"],
    ["/model/m.onnx", "application/octet-stream", "model/m.onnx"],
  ] as const) {
    const answer = await get(path);
    expect(answer, path).toMatchObject({ status: 200, text });
    expect(answer.headers, path).toMatchObject({ "content-type": type, "x-content-type-options": "nosniff" });
  }
});

test("every answer has the policy of the page and the headers for threads, also one of an error", async () => {
  for (const path of ["/", "/none"])
    expect((await get(path)).headers).toMatchObject({
      "content-security-policy": expect.stringMatching(
        /^default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; /,
      ),
      "cross-origin-opener-policy": "same-origin",
      "cross-origin-embedder-policy": "require-corp",
    });
});

test("what is not there, leads out of the folder, is hidden or is no path is not found", async () => {
  for (const path of [
    "/none.js",
    "/model",
    "/model/",
    "/../secret.txt",
    "/..%2fsecret.txt",
    "/%2e%2e/secret.txt",
    "/model/..%5c..%5csecret.txt",
    "//../secret.txt",
    `/${encodeURIComponent(join(folder, "secret.txt"))}`,
    "/link.txt",
    "/.hidden",
    "/index.html%00.js",
    "/%",
    "/%ff",
    "/a.js/",
    "http://elsewhere/index.html",
  ])
    expect(await get(path), path).toMatchObject({ status: 404, text: "" });
});

test("another method and another host are refused", async () => {
  expect((await get("/", { method: "POST" })).status).toBe(405);
  expect(await get("/", { method: "HEAD" })).toMatchObject({ status: 200, text: "" });
  expect((await get("/", { host: "evil.example" })).status).toBe(421);
});

/** How many milliseconds a connection lives that sends a text a letter at a time and reads nothing. */
function lifetime(text: string): Promise<number> {
  const { port } = new URL(server.origin);
  const start = performance.now();
  const socket = connect(Number(port), "localhost");
  socket.pause();
  let sent = 0;
  const timer = setInterval(() => socket.write(text[sent++] ?? ""), 50);
  return new Promise((done) => {
    socket.on("error", () => {});
    socket.on("close", () => {
      clearInterval(timer);
      done(performance.now() - start);
    });
    // a paused socket does not see the other side's end
    setTimeout(() => socket.resume(), 1500);
  });
}

test("a client that sends its request slowly is cut", async () => {
  const slow = `GET / HTTP/1.1\r\nhost: localhost\r\nx-slow: ${"x".repeat(1000)}`;
  expect(await lifetime(slow)).toBeLessThan(5_000);
});

test("a client that does not read its answer is cut, and others are served meanwhile", async () => {
  const { port } = new URL(server.origin);
  const socket = connect(Number(port), "localhost");
  socket.pause();
  socket.write("GET /large.bin HTTP/1.1\r\nhost: localhost\r\n\r\n");
  await new Promise((done) => setTimeout(done, 1500));
  expect((await get("/")).status).toBe(200);
  let received = 0;
  const closed = new Promise((done) => socket.on("error", () => {}).on("close", done));
  socket.on("data", (chunk) => {
    received += chunk.length;
  });
  socket.resume();
  await closed;
  expect(received).toBeLessThan(64e6);
});

test("where a port is taken, the next one is used", async () => {
  const port = Number(new URL(server.origin).port);
  const second = await serveSite(site, { port });
  expect(second.port).toBeGreaterThan(port);
  await second.close();
});
