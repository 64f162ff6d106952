import * as ort from "onnxruntime-web/webgpu";
import { UserError } from "../../graph-builder/errors.ts";
import type { Device } from "../../runtime/device/device.ts";
import { type InferenceDevice, webInferenceDevice } from "../../runtime/device/inference-device.ts";
import type { DeviceName } from "../calls/model.ts";
import type { Start, WorkerEvent } from "../protocol.ts";
import { type Machine, threadsOn } from "./threads.ts";

/**
 * Downloads ONNX Runtime's WebAssembly, reports the progress, and configures ONNX Runtime.
 * Throws UserError where the download fails.
 */
export async function loadOnnxRuntime(
  { module, wasm, bytes }: Start,
  tell: (event: WorkerEvent) => void,
): Promise<void> {
  ort.env.wasm.wasmPaths = { mjs: module };
  ort.env.wasm.numThreads = threadsOn(thisMachine());
  ort.env.logLevel = "error";
  ort.env.wasm.wasmBinary = await fetchWasm(wasm, bytes, tell);
}

/** The machine that the page runs on. */
export function thisMachine(): Machine {
  return { cores: navigator.hardwareConcurrency, isIsolated: crossOriginIsolated };
}

/**
 * Opens a device of this browser for frozen models. Throws UserError with the reason where the browser has no
 * such device.
 */
export async function openDevice(name: DeviceName): Promise<InferenceDevice> {
  if (name === "webgpu") await expectWebGpu();
  return webInferenceDevice(ort, name);
}

/** Opens a device for training, as `openDevice` does. */
export async function openTrainingDevice(name: DeviceName): Promise<Device> {
  const { webDevice } = await import("../../runtime/device/device.ts");
  if (name === "webgpu") await expectWebGpu();
  return webDevice(ort, name);
}

async function expectWebGpu(): Promise<GPUAdapter> {
  if (!("gpu" in navigator))
    throw new UserError("This browser has no WebGPU.", { code: "browser-unsupported" });
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  if (!adapter)
    throw new UserError("This browser finds no graphics card that WebGPU can use.", {
      code: "browser-unsupported",
    });
  return adapter;
}

/**
 * Throws UserError with the reason where there is no WebGPU, or where it runs in software on the processor.
 */
export async function expectGraphicsCard(): Promise<void> {
  const { info } = await expectWebGpu();
  if (info.isFallbackAdapter)
    throw new UserError("WebGPU runs in software on the processor here.", { code: "browser-unsupported" });
}

async function fetchWasm(
  url: string,
  total: number,
  tell: (event: WorkerEvent) => void,
): Promise<ArrayBuffer> {
  const file = await download(url, (received) =>
    tell({ type: "download", received: Math.min(received, total), total }),
  );
  // a host that sends a .gz with Content-Encoding: gzip makes the browser decompress it
  const isCompressed = new Uint8Array(file)[0] === 0x1f;
  return isCompressed ? decompress(file) : file;
}

/** Decompresses a gzip file chunk by chunk, which takes half the time of `Response.arrayBuffer`. */
async function decompress(file: ArrayBuffer): Promise<ArrayBuffer> {
  // the last four bytes of a gzip file hold the decompressed size
  const bytes = new Uint8Array(new DataView(file).getUint32(file.byteLength - 4, true));
  const { readable, writable } = new DecompressionStream("gzip");
  const writer = writable.getWriter();
  // an error of the writer also rejects the reader
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

/**
 * Downloads a file with XMLHttpRequest, which reports its progress and collects the bytes itself.
 * Throws UserError for any status but 200.
 */
function download(url: string, onProgress: (received: number) => void): Promise<ArrayBuffer> {
  const request = new XMLHttpRequest();
  request.open("GET", url);
  request.responseType = "arraybuffer";
  request.onprogress = ({ loaded }) => onProgress(loaded);
  return new Promise((resolve, reject) => {
    request.onloadend = () => {
      const { status, response } = request;
      if (status === 200 && response instanceof ArrayBuffer) {
        resolve(response);
        return;
      }
      const reason = status === 0 ? "the host does not answer" : `status ${status}`;
      reject(
        new UserError(
          `ONNX Runtime could not be loaded from ${url} (${reason}): reload the page, or build it again with npm run build:web.`,
          { code: "package-missing" },
        ),
      );
    };
    request.send();
  });
}
