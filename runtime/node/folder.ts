import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import {
  type ArtifactBytes,
  artifactFiles,
  type Manifest,
  type ModelBytes,
  parseManifest,
  type TrainingArtifacts,
} from "../../artifacts/manifest.ts";
import { makeFolder, readFileBytes, writeFileAtomic } from "./files.ts";
import { withLock } from "./lock.ts";

const manifestFile = "manifest.json";

/**
 * Writes the artifacts and `manifest.json` into a folder, each file atomically, and locks the folder
 * meanwhile. Throws UserError where it cannot be written, and where another process writes into it.
 */
export async function writeTrainingArtifacts(folder: string, artifacts: TrainingArtifacts): Promise<void> {
  await makeFolder(folder);
  await withLock(join(folder, ".lock"), folder, {}, async () => {
    await writeTrainingModels(folder, artifacts);
    await writeFileAtomic(join(folder, artifactFiles.checkpoint), artifacts.checkpoint);
  });
}

/**
 * Writes the models and `manifest.json`, without the checkpoint. Where there is no optimizer or
 * source model, an old one is removed.
 * Throws UserError where a file cannot be written.
 */
export async function writeTrainingModels(
  folder: string,
  artifacts: ModelBytes & Pick<TrainingArtifacts, "manifest">,
): Promise<void> {
  await makeFolder(folder);
  const write = (key: keyof ModelBytes, bytes: Uint8Array) =>
    writeFileAtomic(join(folder, artifactFiles[key]), bytes);
  await write("trainingModel", artifacts.trainingModel);
  await write("evalModel", artifacts.evalModel);
  for (const key of ["optimizerModel", "sourceModel"] as const) {
    const bytes = artifacts[key];
    if (bytes) await write(key, bytes);
    else await rm(join(folder, artifactFiles[key]), { force: true });
  }
  await writeFileAtomic(join(folder, manifestFile), `${JSON.stringify(artifacts.manifest, null, 2)}\n`);
}

/** Reads the files of a folder. Throws UserError where one is missing or cannot be read. */
export async function readTrainingArtifacts(folder: string): Promise<ArtifactBytes> {
  const checkpoint = await readFileBytes(join(folder, artifactFiles.checkpoint));
  return { ...(await readTrainingModels(folder)), checkpoint };
}

/**
 * Reads the models of a folder. Throws UserError where one cannot be read; only the optimizer's and the
 * source may be missing.
 */
export async function readTrainingModels(folder: string): Promise<ModelBytes> {
  const read = (key: keyof ModelBytes) => readFileBytes(join(folder, artifactFiles[key]));
  const [trainingModel, evalModel] = await Promise.all([read("trainingModel"), read("evalModel")]);
  const readOptional = async <K extends keyof ModelBytes>(key: K) => {
    const exists = await stat(join(folder, artifactFiles[key])).then(
      () => true,
      () => false,
    );
    return exists ? { [key]: await read(key) } : {};
  };
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
  isComplete: (manifest: Manifest) => manifest is M,
): Promise<M> {
  const path = join(folder, manifestFile);
  return parseManifest(new TextDecoder().decode(await readFileBytes(path)), path, isComplete);
}
