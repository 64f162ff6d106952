import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";

/** The version of this package. */
export async function ownVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8"));
  return String(version);
}

/**
 * The versions of the programs that compute a run, by name. onnxruntime-node is left out where it is not
 * installed.
 */
export async function programVersions(): Promise<Readonly<Record<string, string>>> {
  // --help and --version need no ONNX Runtime
  const { env } = await import("onnxruntime-common");
  const ofNode = await nativeRuntimeVersion();
  return {
    shakenet: await ownVersion(),
    node: process.versions.node,
    "onnxruntime-common": env.versions.common,
    ...(ofNode === undefined ? {} : { "onnxruntime-node": ofNode }),
  };
}

/** The version of the installed onnxruntime-node, which need not be that of onnxruntime-common. */
async function nativeRuntimeVersion(): Promise<string | undefined> {
  const { resolve } = createRequire(import.meta.url);
  try {
    const { version } = JSON.parse(await readFile(resolve("onnxruntime-node/package.json"), "utf8"));
    return String(version);
  } catch {
    return undefined;
  }
}
