import * as ort from "onnxruntime-web/webgpu";
import { UserError } from "../../graph-builder/errors.ts";
import { type Device, webDevice } from "../../runtime/device/device.ts";
import type { DeviceName, Start, WorkerEvent } from "../protocol.ts";

/** Fetches ONNX Runtime's WebAssembly, telling how far it is, and sets it up. Throws UserError where it cannot be fetched. */
export async function loadOnnxRuntime(
  { module, wasm, bytes }: Start,
  tell: (event: WorkerEvent) => void,
): Promise<void> {
  ort.env.wasm.wasmPaths = { mjs: module };
  ort.env.wasm.numThreads = threads();
  ort.env.logLevel = "error";
  ort.env.wasm.wasmBinary = await fetchWasm(wasm, bytes, tell);
}

/** At most 4 of the cores, where the page may share memory between threads. */
export function threads(): number {
  return crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency) : 1;
}

/** Why there is one thread, where there is. */
export function threadsReason(): string | undefined {
  if (threads() > 1) return undefined;
  return crossOriginIsolated
    ? "this machine has one core"
    : "more need the headers Cross-Origin-Opener-Policy and Cross-Origin-Embedder-Policy, which this host does not send";
}

/** A device of this browser. Throws UserError, saying why, where it has none. */
export async function openDevice(name: DeviceName): Promise<Device> {
  if (name === "webgpu") await expectWebGpu();
  return webDevice(ort, name);
}

async function expectWebGpu(): Promise<GPUAdapter> {
  if (!("gpu" in navigator)) throw new UserError("This browser has no WebGPU.");
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  if (!adapter) throw new UserError("This browser finds no graphics card that WebGPU can use.");
  return adapter;
}

/** Throws UserError, saying why, where WebGPU would be computed by the processor, as where there is none. */
export async function expectGraphicsCard(): Promise<void> {
  const { info } = await expectWebGpu();
  if (info.isFallbackAdapter) throw new UserError("WebGPU is computed by the processor here.");
}

async function fetchWasm(
  url: string,
  total: number,
  tell: (event: WorkerEvent) => void,
): Promise<ArrayBuffer> {
  const file = await download(url, (received) =>
    tell({ type: "download", received: Math.min(received, total), total }),
  );
  // some hosts call a .gz a compressed page, and the browser has unpacked it already
  const isPacked = new Uint8Array(file)[0] === 0x1f;
  return isPacked ? unzip(file) : file;
}

/** Chunk by chunk, which takes half the time of what `Response.arrayBuffer` does. */
async function unzip(file: ArrayBuffer): Promise<ArrayBuffer> {
  // the last four bytes of a gzip file are the size of what is in it
  const bytes = new Uint8Array(new DataView(file).getUint32(file.byteLength - 4, true));
  const { readable, writable } = new DecompressionStream("gzip");
  const writer = writable.getWriter();
  // what goes wrong is seen by the reader
  writer.write(file).catch(() => undefined);
  writer.close().catch(() => undefined);
  const reader = readable.getReader();
  for (let size = 0; ; ) {
    const { value, done } = await reader.read();
    if (done) return bytes.buffer;
    bytes.set(value, size);
    size += value.length;
  }
}

/** A file's bytes, by the one interface that tells how far it is without a stream to keep. */
function download(url: string, onProgress: (received: number) => void): Promise<ArrayBuffer> {
  const request = new XMLHttpRequest();
  request.open("GET", url);
  request.responseType = "arraybuffer";
  request.onprogress = ({ loaded }) => onProgress(loaded);
  return new Promise((resolve, reject) => {
    request.onloadend = () => {
      if (request.status === 200) resolve(request.response as ArrayBuffer);
      else {
        const status = request.status === 0 ? "the host does not answer" : `status ${request.status}`;
        reject(
          new UserError(
            `ONNX Runtime could not be loaded from ${url} (${status}): reload the page, or build it again with npm run build:web.`,
          ),
        );
      }
    };
    request.send();
  });
}
