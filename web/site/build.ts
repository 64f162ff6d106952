import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { build } from "vite";
import type { Assets } from "../assets.ts";
import type { SiteModel } from "./site-model.ts";

const require = createRequire(import.meta.url);

/** The build of ONNX Runtime Web with the wasm and the WebGPU provider that runs in every browser. */
const BUILD = "ort-wasm-simd-threaded.asyncify";

/**
 * Builds the static site into a folder, which any host can serve from any path. The page opens `model` first.
 * The sources are those of the project in the working directory. Throws Error where a file is missing.
 */
export async function buildSite(outDir: string, model?: SiteModel): Promise<void> {
  const root = resolve("web");
  const wasm = await compressedWasm();
  const examples = model?.examples;
  const assets: Assets = {
    onnxruntime: {
      module: `onnxruntime/${wasm.name}.mjs`,
      wasm: `onnxruntime/${wasm.name}.wasm.gz`,
      bytes: wasm.bytes.length,
    },
    ...(model && {
      model: {
        name: model.name,
        onnx: "model/model.onnx",
        checkpoint: "model/checkpoint",
        examples: examples && { data: examples.data, kind: examples.kind, path: "model/pictures" },
      },
    }),
  };
  await build({
    configFile: false,
    root,
    base: "./",
    logLevel: "warn",
    define: { ASSETS: JSON.stringify(assets) },
    // keeps ONNX Runtime's JavaScript in a file of its own, because the workers of its threads load it too
    resolve: { conditions: ["onnxruntime-web-use-extern-wasm", "module", "browser", "production"] },
    worker: {
      format: "es",
      rolldownOptions: {
        output: { codeSplitting: { groups: [{ name: "onnxruntime", test: /node_modules.onnxruntime/ }] } },
      },
    },
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
  if (model && assets.model) {
    await mkdir(join(outDir, "model"), { recursive: true });
    await cp(model.onnx, join(outDir, assets.model.onnx));
    await cp(model.checkpoint, join(outDir, assets.model.checkpoint));
    if (examples && assets.model.examples) await write(assets.model.examples.path, examples.bytes);
  }
}

/**
 * ONNX Runtime's WebAssembly. Its name has the version, so that a browser never uses an old one from its
 * cache.
 */
async function compressedWasm(): Promise<{ name: string; folder: string; bytes: Uint8Array }> {
  const folder = dirname(require.resolve("onnxruntime-web"));
  const { version }: { version: string } = JSON.parse(
    await readFile(join(folder, "..", "package.json"), "utf8"),
  );
  const bytes = await promisify(gzip)(await readFile(join(folder, `${BUILD}.wasm`)));
  return { name: `onnxruntime-web-${version}`, folder, bytes };
}
