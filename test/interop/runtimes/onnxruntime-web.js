// onnxruntime-web at the end of a pipe: onnxruntime-web.js MODEL wasm|webgpu
// says its version in a line, then for every frame of float32 pixels, a uint32 of its bytes before it, sends
// a frame of logits
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runnerImport } from "vite";

const [model, device] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, "../../..");
const library = join(root, "node_modules/onnxruntime-web");

async function openWasm() {
  const ort = await import("onnxruntime-web");
  const session = await ort.InferenceSession.create(await readFile(model), { executionProviders: ["wasm"] });
  const run = async (pixels) => {
    const data = new Float32Array(pixels.buffer, pixels.byteOffset, pixels.length / 4);
    const { logits } = await session.run({
      images: new ort.Tensor("float32", data, [data.length / 3072, 3, 32, 32]),
    });
    return Buffer.from(logits.data.buffer, logits.data.byteOffset, logits.data.byteLength);
  };
  return { run, close: () => session.release() };
}

async function openWebgpu() {
  const { module } = await runnerImport(join(root, "test/support/browser.ts"));
  const server = await module.serveFolders({
    "/": here,
    "/library/": join(library, "dist"),
    "/model/": dirname(model),
  });
  const browser = await module.openBrowser({ webgpu: true });
  const { page } = await module.openPage(browser, `${server.origin}/onnxruntime-web.html`);
  await page.evaluate(
    async (url) => {
      const ort = await import("/library/ort.webgpu.min.mjs");
      const session = await ort.InferenceSession.create(url, { executionProviders: ["webgpu"] });
      globalThis.classify = async (base64) => {
        const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
        const data = new Float32Array(bytes.buffer);
        const images = new ort.Tensor("float32", data, [data.length / 3072, 3, 32, 32]);
        const { logits } = await session.run({ images });
        return [...logits.data];
      };
    },
    `/model/${model.split("/").at(-1)}`,
  );
  const run = async (pixels) => {
    const logits = await page.evaluate((base64) => globalThis.classify(base64), pixels.toString("base64"));
    return Buffer.from(Float32Array.from(logits).buffer);
  };
  const close = async () => {
    await browser.close();
    await server.close();
  };
  return { run, close };
}

async function* frames(stream) {
  let rest = Buffer.alloc(0);
  for await (const chunk of stream) {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32LE()) {
      const end = 4 + rest.readUInt32LE();
      // a copy, because floats must be aligned
      yield Buffer.from(Uint8Array.from(rest.subarray(4, end)).buffer);
      rest = rest.subarray(end);
    }
  }
}

const { run, close } = await { wasm: openWasm, webgpu: openWebgpu }[device]();
const { version } = JSON.parse(await readFile(join(library, "package.json"), "utf8"));
process.stdout.write(`${version}\n`);
for await (const pixels of frames(process.stdin)) {
  const logits = await run(pixels);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(logits.length);
  process.stdout.write(Buffer.concat([length, logits]));
}
await close();
