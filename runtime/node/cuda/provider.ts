import { spawn } from "node:child_process";
import { mkdtemp, open, readdir, readFile, realpath, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { UserError } from "../../../graph-builder/errors.ts";
import { isThere, writeFileAtomic } from "../files.ts";
import { Wheel } from "./wheel.ts";

/** The two libraries that ONNX Runtime loads CUDA's kernels from; npm's package leaves them out. */
const providerLibraries = ["libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"] as const;

/** What the provider links to or opens, and the package of PyPI that has it. */
export const cudaLibraries = [
  { file: "libcudart.so.13", package: "nvidia-cuda-runtime" },
  { file: "libcublas.so.13", package: "nvidia-cublas" },
  { file: "libcublasLt.so.13", package: "nvidia-cublas" },
  { file: "libcurand.so.10", package: "nvidia-curand" },
  { file: "libcufft.so.12", package: "nvidia-cufft" },
  { file: "libcudnn.so.9", package: "nvidia-cudnn-cu13" },
] as const;

/** The packages of PyPI that have CUDA's libraries, at the major version that the provider was built for. */
const cudaPackages = [
  "nvidia-cuda-runtime>=13,<14",
  "nvidia-cublas>=13,<14",
  "nvidia-curand>=10,<11",
  "nvidia-cufft>=12,<13",
  "nvidia-cudnn-cu13>=9,<10",
] as const;

/** onnxruntime-node as it is installed. */
export interface InstalledRuntime {
  readonly version: string;
  /** The folder of libonnxruntime.so.1, where the provider belongs. */
  readonly folder: string;
}

/** What of CUDA there is. */
export interface CudaState {
  /** The version of the NVIDIA driver, such as 580.159.04; undefined where there is none. */
  readonly driver: string | undefined;
  /** The provider's libraries that are not beside ONNX Runtime. */
  readonly missingProviders: readonly string[];
  /** The folder in which each of CUDA's libraries was found; undefined for one that was not. */
  readonly libraries: ReadonlyMap<string, string | undefined>;
}

/**
 * Where onnxruntime-node keeps its libraries. Throws UserError where it is not installed, and on another
 * system than Linux on x64.
 */
export function installedRuntime(
  resolve: (name: string) => string = createRequire(import.meta.url).resolve,
  { platform, arch }: Pick<NodeJS.Process, "platform" | "arch"> = process,
): InstalledRuntime {
  if (platform !== "linux" || arch !== "x64") {
    throw new UserError(
      `ONNX Runtime's CUDA provider is for Linux on x64, and this is ${platform} on ${arch}.`,
      { code: "device-refused" },
    );
  }
  try {
    const manifest = resolve("onnxruntime-node/package.json");
    const { version } = createRequire(manifest)(manifest) as { version: string };
    return { version, folder: join(dirname(manifest), "bin", "napi-v6", "linux", "x64") };
  } catch (error) {
    throw new UserError(
      "onnxruntime-node is not installed, so there is nothing that a CUDA provider could join.",
      { code: "package-missing", cause: error },
    );
  }
}

/** The commit that an ONNX Runtime library says it was built from; undefined where it says none. */
export async function buildCommit(library: Buffer | string): Promise<string | undefined> {
  const bytes = typeof library === "string" ? await readFile(library) : library;
  const mark = Buffer.from("git-commit-id=");
  const at = bytes.indexOf(mark);
  if (at < 0) return undefined;
  return /^[0-9a-f]+/.exec(bytes.toString("latin1", at + mark.length, at + mark.length + 40))?.[0];
}

/** How an installation gets on. */
export type Report = (text: string) => void;

/**
 * Copies the CUDA provider out of a wheel of onnxruntime-gpu beside ONNX Runtime. Throws UserError where the
 * wheel is damaged, and where it was built from another commit than the installed ONNX Runtime, which would
 * not load it.
 */
export async function installProvider(
  wheelPath: string,
  runtime: InstalledRuntime,
  report: Report,
): Promise<void> {
  const wheel = await Wheel.open(wheelPath);
  try {
    const [core] = wheel.names(/^onnxruntime\/capi\/libonnxruntime\.so\.\d+\.\d+\.\d+$/);
    if (core === undefined)
      throw new UserError(`${wheelPath} holds no ONNX Runtime.`, { code: "file-damaged" });
    report("comparing the builds of ONNX Runtime");
    const theirs = await buildCommit(await wheel.read(core));
    const ours = await buildCommit(join(runtime.folder, "libonnxruntime.so.1"));
    if (ours === undefined || ours !== theirs) {
      throw new UserError(
        `The wheel was built from commit ${theirs ?? "unknown"} of ONNX Runtime and onnxruntime-node from ${ours ?? "unknown"}, so they do not fit.`,
        { code: "package-mismatch" },
      );
    }
    for (const name of providerLibraries) {
      report(`copying ${name}`);
      await writeFileAtomic(join(runtime.folder, name), await wheel.read(`onnxruntime/capi/${name}`));
    }
  } finally {
    await wheel.close();
  }
}

/**
 * Fetches the wheel of onnxruntime-gpu of a version with pip, which checks what it fetches, and gives its
 * path to `use`; the file is removed after. Throws UserError, with pip's last line, where pip is missing or
 * fails.
 */
export async function withProviderWheel(
  version: string,
  { python, report, signal }: { python: string; report: Report; signal?: AbortSignal | undefined },
  use: (wheelPath: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "shake-cuda-"));
  try {
    report(`fetching onnxruntime-gpu ${version}, about 250 MB`);
    const platforms = ["manylinux_2_27_x86_64", "manylinux_2_28_x86_64", "manylinux2014_x86_64"];
    const where = platforms.flatMap((platform) => ["--platform", platform]);
    await runPip(
      python,
      [
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version",
        "3.12",
        ...where,
        "--dest",
        folder,
        `onnxruntime-gpu==${version}`,
      ],
      signal,
    );
    const [wheel] = (await readdir(folder)).filter((name) => name.endsWith(".whl"));
    if (wheel === undefined)
      throw new UserError(`pip fetched no wheel of onnxruntime-gpu ${version}.`, { code: "download-failed" });
    await use(join(folder, wheel));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Fetches CUDA's libraries with pip into a folder. Throws UserError as withProviderWheel does. */
export async function fetchLibraries(
  folder: string,
  { python, report, signal }: { python: string; report: Report; signal?: AbortSignal | undefined },
): Promise<void> {
  report("fetching CUDA's libraries, about 1.3 GB");
  await runPip(python, ["install", "--upgrade", "--target", folder, ...cudaPackages], signal);
}

/** The libraries that the provider needs, with those that they open themselves. */
const linked = /^lib(cudart|cublas|cublasLt|cudnn\w*|curand|cufft|nvrtc\S*|nvJitLink)\.so(\.\d+)*$/;

/**
 * Links CUDA's libraries, and those that they open, into the provider's folder, where the loader looks first:
 * so no LD_LIBRARY_PATH is needed. A library that is in that folder itself stays. Returns how many were
 * linked.
 */
export async function linkLibraries(folders: readonly string[], runtime: InstalledRuntime): Promise<number> {
  const own = await realpath(runtime.folder);
  let count = 0;
  for (const folder of folders) {
    if ((await realpath(folder)) === own) continue;
    for (const name of (await readdir(folder)).filter((file) => linked.test(file))) {
      const link = join(runtime.folder, name);
      await rm(link, { force: true });
      await symlink(join(folder, name), link);
      count++;
    }
  }
  return count;
}

/** The folders of CUDA's libraries: each as it is found first. */
export function librariesFolders({ libraries }: CudaState): string[] {
  return [...new Set([...libraries.values()].filter((folder) => folder !== undefined))];
}

/**
 * What of CUDA this machine has: the driver, the provider beside ONNX Runtime, and CUDA's libraries, which
 * are looked for beside the provider, on LD_LIBRARY_PATH, in the packages of the given Python, and where
 * CUDA's own installer puts them.
 */
export async function cudaState(
  runtime: InstalledRuntime,
  python = "python3",
  extra: readonly string[] = [],
): Promise<CudaState> {
  const folders = [
    runtime.folder,
    ...extra,
    ...(process.env["LD_LIBRARY_PATH"] ?? "").split(delimiter).filter((folder) => folder !== ""),
    ...(await packagedFolders(python)),
    "/usr/local/cuda/lib64",
    "/usr/lib/x86_64-linux-gnu",
  ];
  const libraries = await Promise.all(
    cudaLibraries.map(async ({ file }) => [file, await firstWith(file, folders)] as const),
  );
  const missing = await Promise.all(
    providerLibraries.map(async (name) => ((await isThere(join(runtime.folder, name))) ? [] : [name])),
  );
  return {
    driver: await driverVersion(),
    missingProviders: missing.flat(),
    libraries: new Map(libraries),
  };
}

/** The folders of libraries that packages such as nvidia-cublas install under a folder of packages. */
export async function libraryFolders(packages: string): Promise<string[]> {
  const root = join(packages, "nvidia");
  const names = await readdir(root).catch(() => []);
  const folders = names.map((name) => join(root, name, "lib"));
  const found = await Promise.all(folders.map(async (folder) => ((await isThere(folder)) ? [folder] : [])));
  return found.flat();
}

async function packagedFolders(python: string): Promise<string[]> {
  const script = "import site, sys; print('\\n'.join(site.getsitepackages() + [site.getusersitepackages()]))";
  const { code, output } = await runProgram(python, ["-c", script]).catch(() => ({ code: 1, output: "" }));
  if (code !== 0) return [];
  const packages = output.split("\n").filter((line) => line !== "");
  return (await Promise.all(packages.map(libraryFolders))).flat();
}

async function firstWith(file: string, folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) {
    const path = join(folder, file);
    // beside the provider it is a link to where it is
    if (await isThere(path)) return dirname(await realpath(path));
  }
  return undefined;
}

async function driverVersion(): Promise<string | undefined> {
  try {
    const file = await open("/proc/driver/nvidia/version");
    const text = await file.readFile("utf8").finally(() => file.close());
    return /\b(\d+\.\d+(?:\.\d+)?)\b/.exec(text)?.[1];
  } catch {
    const query = ["--query-gpu=driver_version", "--format=csv,noheader"];
    const { code, output } = await runProgram("nvidia-smi", query).catch(() => ({ code: 1, output: "" }));
    return code === 0 ? output.split("\n")[0]?.trim() : undefined;
  }
}

async function runPip(python: string, args: readonly string[], signal?: AbortSignal): Promise<void> {
  const all = ["-m", "pip", "--disable-pip-version-check", ...args];
  const { code, output } = await runProgram(python, all, signal).catch((error: unknown) => {
    if (signal?.aborted) throw new UserError("The installation was stopped.", { code: "interrupted" });
    throw new UserError(`${python} cannot be started: ${(error as Error).message}.`, {
      code: "package-missing",
      cause: error,
    });
  });
  if (signal?.aborted) throw new UserError("The installation was stopped.", { code: "interrupted" });
  if (code === 0) return;
  const lines = output.split("\n").filter((line) => line.trim() !== "");
  const said = lines.findLast((line) => /^ERROR/.test(line)) ?? lines.at(-1) ?? "it says nothing";
  throw new UserError(`pip failed: ${said.replace(/^ERROR:\s*/, "").replace(/\.$/, "")}.`, {
    code: "download-failed",
  });
}

function runProgram(
  program: string,
  args: readonly string[],
  signal?: AbortSignal,
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], {
      stdio: ["ignore", "pipe", "pipe"],
      ...(signal ? { signal } : {}),
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}
