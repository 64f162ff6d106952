import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { build } from "vite";
import type { FinishedRun } from "../../runtime/node/run/run-directory.ts";
import type { Assets } from "../assets.ts";
import { testPictures } from "./test-pictures.ts";

const require = createRequire(import.meta.url);

/** The build of ONNX Runtime Web with both the wasm and the WebGPU provider that every browser can run. */
const BUILD = "ort-wasm-simd-threaded.asyncify";

/**
 * Builds the static site into a folder, which any host serves from any path. `run` is the one whose network is shown first.
 * The sources are those of the project in the working directory. Throws Error where a file is missing.
 */
export async function buildSite(outDir: string, run?: FinishedRun): Promise<void> {
  const root = resolve("web");
  const wasm = await compressedWasm();
  const pictures = run === undefined ? undefined : await testPictures(run.path);
  const assets: Assets = {
    onnxruntime: {
      module: `onnxruntime/${wasm.name}.mjs`,
      wasm: `onnxruntime/${wasm.name}.wasm.gz`,
      bytes: wasm.bytes.length,
    },
    ...(run === undefined
      ? {}
      : {
          model: {
            run: run.path,
            onnx: "model/model.onnx",
            checkpoint: "model/checkpoint",
            examples: pictures && { data: pictures.data, path: "model/test-pictures.bin" },
          },
        }),
  };
  await build({
    configFile: false,
    root,
    base: "./",
    logLevel: "warn",
    define: { ASSETS: JSON.stringify(assets) },
    // ONNX Runtime's glue is a file of its own: a thread's worker loads it too
    resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "production"] },
    worker: { format: "es" },
    build: {
      outDir: resolve(outDir),
      emptyOutDir: true,
      target: "es2022",
      modulePreload: { polyfill: false },
    },
  });
  const write = async (path: string, bytes: Uint8Array) => {
    await mkdir(dirname(join(outDir, path)), { recursive: true });
    await writeFile(join(outDir, path), bytes);
  };
  await write(assets.onnxruntime.wasm, wasm.bytes);
  await write(assets.onnxruntime.module, await readFile(join(wasm.folder, `${BUILD}.mjs`)));
  if (run !== undefined && assets.model) {
    await mkdir(join(outDir, "model"), { recursive: true });
    await cp(run.model, join(outDir, assets.model.onnx));
    await cp(run.checkpoint, join(outDir, assets.model.checkpoint));
    if (pictures && assets.model.examples) await write(assets.model.examples.path, pictures.records);
  }
}

/** ONNX Runtime's WebAssembly, named after its version so that a browser never keeps an old one. */
async function compressedWasm(): Promise<{ name: string; folder: string; bytes: Uint8Array }> {
  const folder = dirname(require.resolve("onnxruntime-web"));
  const { version } = JSON.parse(await readFile(join(folder, "..", "package.json"), "utf8")) as {
    version: string;
  };
  const bytes = await promisify(gzip)(await readFile(join(folder, `${BUILD}.wasm`)));
  return { name: `onnxruntime-web-${version}`, folder, bytes };
}
