import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  type ArtifactBytes,
  artifactFiles,
  type Manifest,
  type ModelBytes,
  parseManifest,
  type TrainingArtifacts,
} from "../../artifacts/manifest.ts";
import { expectPath } from "../../artifacts/read-file.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { ownEntry } from "../../graph-builder/own-entry.ts";
import { endReplacement, fileOf, MANIFEST, replaceFiles } from "./file-set.ts";
import { makeFolder, readFileBytes } from "./files.ts";

const modelKeys = [
  "trainingModel",
  "evalModel",
  "optimizerModel",
  "sourceModel",
  "epochModel",
  "initialState",
] as const;

/**
 * Writes the artifacts and `manifest.json` into a folder, as one: a reader finds the old ones or the new
 * ones, also after a kill, and an old file of a model that there is not is removed. Throws UserError where it
 * cannot be written, and where another process writes into it.
 */
export async function writeTrainingArtifacts(folder: string, artifacts: TrainingArtifacts): Promise<void> {
  await write(folder, artifacts, [[artifactFiles.checkpoint, artifacts.checkpoint]]);
}

/**
 * Writes the models and `manifest.json`, without the checkpoint, as writeTrainingArtifacts does. Throws
 * UserError where a file cannot be written.
 */
export async function writeTrainingModels(
  folder: string,
  artifacts: ModelBytes & Pick<TrainingArtifacts, "manifest">,
): Promise<void> {
  await write(folder, artifacts, []);
}

/** The manifest has the hashes of the models. Programs replace the checkpoint when they save theirs. */
async function write(
  folder: string,
  { manifest, ...artifacts }: ModelBytes & Pick<TrainingArtifacts, "manifest">,
  others: readonly [string, Uint8Array][],
): Promise<void> {
  const models = modelKeys.map((key) => [artifactFiles[key], artifacts[key]] as const);
  const written = models.flatMap(([name, bytes]): [string, Uint8Array][] => (bytes ? [[name, bytes]] : []));
  const removed = models.flatMap(([name, bytes]) => (bytes ? [] : name));
  const hashes = Object.fromEntries(written.map(([name, bytes]) => [name, sha256(bytes)]));
  const text = `${JSON.stringify({ ...manifest, files: hashes }, null, 2)}\n`;
  expectPath(folder);
  await makeFolder(folder);
  const files = new Map<string, Uint8Array | string>([...written, ...others]).set(MANIFEST, text);
  await replaceFiles(folder, files, removed);
}

/**
 * Reads the files of a folder. Throws UserError where one is missing or cannot be read, and for a model that
 * is not the one of the manifest.
 */
export async function readTrainingArtifacts(folder: string): Promise<ArtifactBytes> {
  const models = await readTrainingModels(folder);
  return { ...models, checkpoint: await readFileBytes(await placeOf(folder, artifactFiles.checkpoint)) };
}

/**
 * Reads the models of a folder. Throws UserError where one cannot be read, and for one that is not that of
 * the manifest; the optimizer's and the source may be missing. The models of a chunk of steps are left
 * out, as no session needs them.
 */
export async function readTrainingModels(folder: string): Promise<ModelBytes> {
  expectPath(folder);
  await endReplacement(folder);
  const hashes = await hashesIn(folder);
  const read = async (key: keyof ModelBytes) => {
    const bytes = await readFileBytes(await placeOf(folder, artifactFiles[key]));
    expectHash(folder, artifactFiles[key], bytes, hashes);
    return bytes;
  };
  const readOptional = async <K extends keyof ModelBytes>(key: K) => {
    const name = artifactFiles[key];
    const isThere = hashes ? Object.hasOwn(hashes, name) : (await fileOf(folder, name)) !== undefined;
    return isThere ? { [key]: await read(key) } : {};
  };
  const [trainingModel, evalModel] = await Promise.all([read("trainingModel"), read("evalModel")]);
  return {
    trainingModel,
    evalModel,
    ...(await readOptional("optimizerModel")),
    ...(await readOptional("sourceModel")),
  };
}

/**
 * Reads `manifest.json` of a folder; `isComplete` tells whether it holds all that its network's manifest has.
 * Throws UserError where it is missing or not a manifest of training artifacts.
 */
export async function readManifest<M extends Manifest>(
  folder: string,
  isComplete: (manifest: Manifest, path: string) => manifest is M,
): Promise<M> {
  expectPath(folder);
  await endReplacement(folder);
  const path = await placeOf(folder, MANIFEST);
  return parseManifest(new TextDecoder().decode(await readFileBytes(path)), path, isComplete);
}

/** The path of a file of a folder, also where there is none. */
async function placeOf(folder: string, name: string): Promise<string> {
  return (await fileOf(folder, name)) ?? join(folder, name);
}

/** The hashes in a folder's manifest; undefined for artifacts of another program, or without hashes. */
async function hashesIn(folder: string): Promise<Manifest["files"]> {
  if ((await fileOf(folder, MANIFEST)) === undefined) return undefined;
  return (await readManifest(folder, (manifest): manifest is Manifest => manifest.format === 1)).files;
}

function expectHash(folder: string, name: string, bytes: Uint8Array, hashes: Manifest["files"]): void {
  if (!hashes) return;
  const [wanted, found] = [ownEntry(hashes, name), sha256(bytes)];
  if (found === wanted) return;
  throw new UserError(
    `${join(folder, name)} does not belong to ${join(folder, MANIFEST)}: its SHA-256 is not the one there. Write the artifacts again with shake build-graph.`,
    { code: "artifacts-mismatch", details: { path: join(folder, name), wanted, found } },
  );
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
