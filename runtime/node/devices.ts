import type * as Ort from "onnxruntime-common";
import { UserError } from "../../graph-builder/errors.ts";
import type { Device, RuntimeDevice } from "../device/device.ts";
import { type DeviceName, expectDevice } from "../device/names.ts";
import { gpuMemory } from "./gpu-memory.ts";
import { expectThreads } from "./threads.ts";

// ONNX Runtime's builds for Linux and macOS report to Microsoft, and write files into the home folder and the
// temporary folder, unless this variable is set before they are loaded. Threads have no environment of their
// own to set it in, so it is set where this module is imported first.
process.env["ORT_DISABLE_TELEMETRY"] ??= "1";

interface Provider {
  readonly executionProviders: readonly string[];
  readonly advice: string;
}

const providers: { readonly [K in Exclude<DeviceName, "wasm">]: Provider } = {
  cpu: { executionProviders: ["cpu"], advice: "reinstall onnxruntime-node" },
  cuda: {
    executionProviders: ["cuda", "cpu"],
    advice:
      "it needs Linux on x64, an NVIDIA GPU, CUDA 13 and cuDNN 9, and a provider that the command install-cuda installs once",
  },
  webgpu: {
    executionProviders: ["webgpu", "cpu"],
    advice: "it needs a GPU with a Vulkan, Metal or Direct3D 12 driver",
  },
  coreml: { executionProviders: ["coreml", "cpu"], advice: "it exists on macOS only" },
  dml: { executionProviders: ["dml", "cpu"], advice: "it exists on Windows only" },
};

/**
 * Opens a device in Node. Throws UserError for an unknown name, for threads that are no number from 1 to
 * 1024, and, saying why and how to get it, where this machine's ONNX Runtime does not have the device.
 */
export async function openDevice(name: DeviceName, options: DeviceOptions = {}): Promise<Device> {
  const device = await openRuntimeDevice(name, options);
  const { deviceLowering } = await import("../device/lowerings.ts");
  const size = name === "cpu" ? await probedBlockSize(device.ort) : undefined;
  return { ...device, lowering: deviceLowering(name, size) };
}

/** The settings of `openDevice`. */
export interface DeviceOptions {
  /** The threads of the CPU's operators; all cores where left out, and 1 with wasm. */
  readonly threads?: number | undefined;
}

/**
 * Opens a device for models that were lowered for it before, without loading the compiler. Throws UserError
 * as openDevice does.
 */
export async function openRuntimeDevice(
  name: DeviceName,
  options: DeviceOptions = {},
): Promise<RuntimeDevice> {
  expectDevice(name);
  expectThreads(options.threads);
  const threads = options.threads === undefined ? {} : { intraOpNumThreads: options.threads };
  const common = {
    ...threads,
    logSeverityLevel: 4 as const,
    // memory patterns are 5 % faster, but allocate a second block beside the memory of the first step
    enableMemPattern: false,
    // each session has threads of its own, and those that spin after a run slow down the next session
    extra: { session: { force_spinning_stop: "1" } },
  };
  if (name === "wasm") return openWasm(common, options.threads ?? 1);
  const ort = await loadRuntime();
  // a device that cannot be opened throws an error, so ONNX Runtime need not log it too
  ort.env.logLevel = "fatal";
  const provider = providers[name];
  if (!ort.listSupportedBackends().some((backend) => backend.name === name)) {
    throw new UserError(`The device ${name} is not in this machine's ONNX Runtime: ${provider.advice}.`, {
      code: "device-refused",
      details: { device: name, advice: provider.advice },
    });
  }
  const sessionOptions = { ...common, executionProviders: [...provider.executionProviders] };
  const { advice } = provider;
  const memory = name === "webgpu" ? { memory: gpuMemory(ort, sessionOptions) } : {};
  return { name, ort, sessionOptions, advice, copiesOutputs: name === "cpu", ...memory };
}

/**
 * Loads ONNX Runtime for Node. Its install script downloads CUDA's libraries from another host on Linux x64,
 * and npm leaves the package out where that host is not reached. Throws UserError with the command that
 * installs it.
 */
async function loadRuntime(): Promise<typeof import("onnxruntime-node")> {
  try {
    return await import("onnxruntime-node");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND")) throw error;
    const { env } = await import("onnxruntime-common");
    throw new UserError(
      `onnxruntime-node is not installed: run \`ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node@${env.versions.common}\`.`,
      { code: "package-missing", details: { package: "onnxruntime-node" } },
    );
  }
}

/** The block size of this machine, which is measured once. */
function probedBlockSize(ort: Device["ort"]): Promise<number | undefined> {
  probed ??= import("../device/blocked-layout.ts").then(({ blockSize }) => blockSize(ort));
  return probed;
}

let probed: Promise<number | undefined> | undefined;

async function openWasm(
  common: Ort.InferenceSession.SessionOptions,
  threads: number,
): Promise<RuntimeDevice> {
  const ort = await import("onnxruntime-web");
  ort.env.wasm.numThreads = threads;
  const sessionOptions = { ...common, executionProviders: ["wasm"] };
  return { name: "wasm", ort, sessionOptions, advice: "reinstall onnxruntime-web" };
}
