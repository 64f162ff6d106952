import { stat } from "node:fs/promises";
import { join } from "node:path";
import { artifactFiles, decodeCheckpoint, readFileBytes } from "../../../artifacts/index.ts";
import { decodeModel, printGraph, UserError } from "../../../graph-builder/index.ts";
import { isRun } from "../../../runtime/node/run/run-directory.ts";
import { openRun } from "../../../shakenet/node/run.ts";
import { inspectArtifacts } from "./artifacts.ts";
import { inspectCheckpoint } from "./checkpoint.ts";
import type { InspectGiven } from "./command.ts";
import { inspectModel } from "./model.ts";
import type { Report } from "./report.ts";
import { inspectRun } from "./run-folder.ts";

export async function run({ file = "", graph, json }: InspectGiven): Promise<number> {
  const report = await inspect(file);
  if (graph && !report.model) throw new UserError(`${file} is no model: only a model has a graph to print.`);
  if (graph && report.model) process.stdout.write(`${printGraph(report.model.graph)}\n`);
  else process.stdout.write(json ? `${JSON.stringify(report.facts)}\n` : `${report.text}\n`);
  return 0;
}

async function inspect(path: string): Promise<Report> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) {
    const bytes = await readFileBytes(path);
    return isCheckpoint(bytes)
      ? inspectCheckpoint(decodeCheckpoint(bytes, path))
      : inspectModel(decodeModel(bytes, path));
  }
  const has = (name: string) =>
    stat(join(path, name)).then(
      () => true,
      () => false,
    );
  if (await isRun(path)) return inspectRun(await openRun(path));
  if (await has(artifactFiles.trainingModel)) return inspectArtifacts(path, inspect);
  throw new UserError(`${path} is neither the folder of a run nor one that build-graph wrote.`);
}

/** FlatBuffers put a file's identifier behind its first offset. */
function isCheckpoint(bytes: Uint8Array): boolean {
  return new TextDecoder().decode(bytes.subarray(4, 8)) === "ODTC";
}
