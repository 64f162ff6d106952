import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { artifactFiles } from "../artifacts/index.ts";
import { UserError } from "../graph-builder/errors.ts";
import { isThere } from "../runtime/node/files.ts";
import { expectWritable } from "../runtime/node/index.ts";
import { runOwning } from "../runtime/node/run/run-directory.ts";

/**
 * Throws UserError where --out names a file that cannot be written, one of the `sources` that the command
 * reads, a file that a run needs to go on, or one of a folder of training artifacts.
 */
export async function expectOutputFile(out: string, ...sources: readonly string[]): Promise<void> {
  await expectWritable(out);
  const path = await realPath(out);
  for (const source of sources) {
    if (path === (await realPath(source))) throw replaces(out, "what it is made from");
  }
  await refuseRunFile(out);
  const folder = dirname(path);
  const isArtifact = ["manifest.json", ...Object.values(artifactFiles)].includes(basename(path));
  if (isArtifact && (await isThere(join(folder, "manifest.json"))))
    throw replaces(out, "a file of training artifacts");
}

/**
 * Throws UserError where the folder of --out belongs to a run, and where the training artifacts in it would
 * replace the model that they are made from.
 */
export async function expectOutputFolder(out: string, from: string | undefined): Promise<void> {
  await refuseRunFile(out);
  if (from === undefined) return;
  const { sourceModel: _, ...others } = artifactFiles;
  const source = await realPath(from);
  for (const name of Object.values(others)) {
    if ((await realPath(join(out, name))) === source) throw replaces(join(out, name), "what it is made from");
  }
}

async function refuseRunFile(out: string): Promise<void> {
  const run = await runOwning(out);
  if (run !== undefined) throw replaces(out, `what the run ${run} needs`);
}

function replaces(out: string, what: string): UserError {
  return new UserError(`--out ${out} would replace ${what}: give another path.`, {
    code: "setting-conflict",
    details: { setting: "out", path: out },
  });
}

/** A path without links; the path itself where nothing is there. */
async function realPath(path: string): Promise<string> {
  return realpath(path).catch(() => resolve(path));
}
