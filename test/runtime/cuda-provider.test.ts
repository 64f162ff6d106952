import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import { expect, test } from "vitest";
import { UserError } from "../../graph-builder/index.ts";
import { cudaNeeds } from "../../runtime/node/cuda/next-step.ts";
import {
  buildCommit,
  type CudaState,
  installedRuntime,
  installProvider,
  linkLibraries,
  withProviderWheel,
} from "../../runtime/node/cuda/provider.ts";
import { Wheel } from "../../runtime/node/cuda/wheel.ts";
import { temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();
const names = ["libonnxruntime_providers_shared.so", "libonnxruntime_providers_cuda.so"] as const;

/** A wheel as pip would fetch it, of an ONNX Runtime built from a commit. */
function writeWheel(
  path: string,
  commit: string,
  change: (files: Map<string, Buffer>) => void = () => {},
): string {
  const files = new Map<string, Buffer>([
    [
      "onnxruntime/capi/libonnxruntime.so.1.30.0",
      Buffer.from(`\0ORT Build Info: git-commit-id=${commit}, build type=Release\0`),
    ],
    ...names.map((name): [string, Buffer] => [
      `onnxruntime/capi/${name}`,
      Buffer.from(`the library ${name}`.repeat(50)),
    ]),
  ]);
  const record = [...files].map(
    ([name, bytes]) =>
      `${name},sha256=${createHash("sha256").update(bytes).digest("base64url")},${bytes.length}`,
  );
  files.set("onnxruntime_gpu-1.30.0.dist-info/RECORD", Buffer.from(record.join("\n")));
  change(files);
  writeFileSync(path, zip(files));
  return path;
}

/** A zip archive, its files deflated. */
function zip(files: ReadonlyMap<string, Buffer>): Buffer {
  const locals: Buffer[] = [];
  const central: Buffer[] = [];
  let at = 0;
  for (const [name, bytes] of files) {
    const packed = deflateRawSync(bytes);
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(8, 4);
    fields.writeUInt32LE(crc32(bytes), 10);
    fields.writeUInt32LE(packed.length, 14);
    fields.writeUInt32LE(bytes.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), fields, Buffer.from(name), packed]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(at, 10);
    central.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\0"), fields, rest, Buffer.from(name)]));
    locals.push(local);
    at += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(files.size, 4);
  end.writeUInt16LE(files.size, 6);
  end.writeUInt32LE(directory.length, 8);
  end.writeUInt32LE(at, 12);
  return Buffer.concat([...locals, directory, Buffer.from("PK\x05\x06"), end]);
}

/** The folder of an installed onnxruntime-node that was built from a commit. */
function writeRuntime(name: string, commit: string) {
  const runtime = { version: "1.30.0", folder: join(folder, name) };
  mkdirSync(runtime.folder);
  writeFileSync(
    join(runtime.folder, "libonnxruntime.so.1"),
    `\0git-branch=HEAD, git-commit-id=${commit}, \0`,
  );
  return runtime;
}

const state: CudaState = { driver: undefined, missingProviders: [...names], libraries: new Map() };

test("the provider of the same commit is copied out of the wheel", async () => {
  const runtime = writeRuntime("same", "f2c39fe2f");
  const said: string[] = [];
  const wheel = writeWheel(join(folder, "same.whl"), "f2c39fe2f");
  await installProvider(wheel, runtime, (text) => said.push(text));
  for (const name of names) {
    expect(readFileSync(join(runtime.folder, name), "utf8")).toBe(`the library ${name}`.repeat(50));
  }
  expect(said).toContain("copying libonnxruntime_providers_cuda.so");
});

test("a wheel of another commit is refused, and nothing is copied", async () => {
  const runtime = writeRuntime("other", "0123abc");
  const wheel = writeWheel(join(folder, "other.whl"), "f2c39fe2f");
  await expect(installProvider(wheel, runtime, () => {})).rejects.toThrow(
    new UserError(
      "The wheel was built from commit f2c39fe2f of ONNX Runtime and onnxruntime-node from 0123abc, so they do not fit.",
      { code: "package-mismatch" },
    ),
  );
  expect(existsSync(join(runtime.folder, names[1]))).toBe(false);
});

test("a library that differs from the wheel's record is refused", async () => {
  const runtime = writeRuntime("damaged", "f2c39fe2f");
  const wheel = writeWheel(join(folder, "damaged.whl"), "f2c39fe2f", (files) => {
    files.set(`onnxruntime/capi/${names[1]}`, Buffer.from("another library"));
  });
  await expect(installProvider(wheel, runtime, () => {})).rejects.toThrow(/is damaged: its checksum/);
  expect(existsSync(join(runtime.folder, names[1]))).toBe(false);
});

test("a file that is cut off, or no archive, is no wheel", async () => {
  const path = writeWheel(join(folder, "cut.whl"), "f2c39fe2f");
  writeFileSync(path, readFileSync(path).subarray(0, 400));
  await expect(Wheel.open(path)).rejects.toThrow(
    new UserError(`${path} is not a wheel, or it is cut off.`, { code: "file-damaged" }),
  );
  writeFileSync(path, "text");
  await expect(Wheel.open(path)).rejects.toThrow(UserError);
});

test("a wheel that is not there is told in one sentence", async () => {
  await expect(Wheel.open(join(folder, "none.whl"))).rejects.toThrow(UserError);
});

test("the installed ONNX Runtime says its commit", async () => {
  const { folder: libraries, version } = installedRuntime();
  expect(version).toMatch(/^\d+\.\d+\.\d+$/);
  expect(await buildCommit(join(libraries, "libonnxruntime.so.1"))).toMatch(/^[0-9a-f]{7,}$/);
});

test("another system than Linux on x64 is refused in one sentence", () => {
  expect(() => installedRuntime(undefined, { platform: "darwin", arch: "arm64" })).toThrow(
    new UserError("ONNX Runtime's CUDA provider is for Linux on x64, and this is darwin on arm64.", {
      code: "device-refused",
    }),
  );
});

test("a Python that is not there, and a pip that fails, are told in one sentence", async () => {
  const use = async () => {};
  const report = () => {};
  await expect(withProviderWheel("1.30.0", { python: join(folder, "nothing"), report }, use)).rejects.toThrow(
    /nothing cannot be started/,
  );
  const python = join(folder, "python");
  writeFileSync(
    python,
    "#!/bin/sh\necho 'ERROR: No matching distribution found for onnxruntime-gpu==0.0.1' >&2\nexit 1\n",
    { mode: 0o755 },
  );
  await expect(withProviderWheel("0.0.1", { python, report }, use)).rejects.toThrow(
    new UserError("pip failed: No matching distribution found for onnxruntime-gpu==0.0.1.", {
      code: "download-failed",
    }),
  );
});

test("CUDA's libraries are linked beside ONNX Runtime, and others in the folder are not", async () => {
  const runtime = writeRuntime("linked", "f2c39fe2f");
  const libraries = join(folder, "libraries");
  mkdirSync(libraries);
  for (const name of [
    "libcublas.so.13",
    "libcudnn_graph.so.9",
    "libcudnn.so.9",
    "libc.so.6",
    "libnvrtc-builtins.so.13.0",
  ]) {
    writeFileSync(join(libraries, name), "");
  }
  expect(await linkLibraries([libraries], runtime)).toBe(4);
  expect(readlinkSync(join(runtime.folder, "libcudnn_graph.so.9"))).toBe(
    join(libraries, "libcudnn_graph.so.9"),
  );
  expect(existsSync(join(runtime.folder, "libc.so.6"))).toBe(false);
});

test("a library that somebody has put beside ONNX Runtime stays", async () => {
  const runtime = writeRuntime("copied", "f2c39fe2f");
  const library = join(runtime.folder, "libcudart.so.13");
  writeFileSync(library, "a library");
  expect(await linkLibraries([runtime.folder], runtime)).toBe(0);
  expect(readFileSync(library, "utf8")).toBe("a library");
});

test("what is missing for CUDA is named with the next command, in order", () => {
  const needs = cudaNeeds(state, "npx shake");
  expect(needs.map(({ what }) => what)).toEqual([
    "NVIDIA driver",
    "CUDA 13",
    "cuDNN 9",
    "CUDA provider of ONNX Runtime",
  ]);
  expect(needs.every(({ found }) => found === undefined)).toBe(true);
  expect(needs[3]?.next).toBe("run `npx shake install-cuda`");
  const libraries = new Map(
    [...["libcudart.so.13", "libcublas.so.13", "libcublasLt.so.13", "libcurand.so.10"], "libcufft.so.12"].map(
      (file) => [file, "/cuda"],
    ),
  );
  const [driver, cuda, cudnn] = cudaNeeds(
    { driver: "580.159.04", missingProviders: [], libraries },
    "npx shake",
  );
  expect([driver?.found, cuda?.found, cudnn?.found]).toEqual(["580.159.04", "/cuda", undefined]);
});
