import { join } from "node:path";
import { UserError } from "../graph-builder/errors.ts";
import { makeFolder, readFileBytes, writeFileAtomic } from "./files.ts";
import type { Manifest, TrainingArtifacts } from "./training-artifacts.ts";

/** The names of ONNX Runtime's training artifacts. */
export const artifactFiles = {
  trainingModel: "training_model.onnx",
  evalModel: "eval_model.onnx",
  optimizerModel: "optimizer_model.onnx",
  checkpoint: "checkpoint",
} as const;

/** The bytes of a folder's four files. */
export type ArtifactBytes = { readonly [K in keyof typeof artifactFiles]: Uint8Array };

/** The bytes of the three models alone. */
export type ModelBytes = Omit<ArtifactBytes, "checkpoint">;

const manifestFile = "manifest.json";
const models = ["trainingModel", "evalModel", "optimizerModel"] as const;

/** Writes the artifacts and `manifest.json` into a folder, each file atomically. Throws UserError where it cannot be written. */
export async function writeTrainingArtifacts(folder: string, artifacts: TrainingArtifacts): Promise<void> {
  await writeTrainingModels(folder, artifacts);
  await writeFileAtomic(join(folder, artifactFiles.checkpoint), artifacts.checkpoint);
}

/** Writes the three models and `manifest.json`, without the checkpoint. Throws UserError where a file cannot be written. */
export async function writeTrainingModels(
  folder: string,
  artifacts: ModelBytes & Pick<TrainingArtifacts, "manifest">,
): Promise<void> {
  await makeFolder(folder);
  for (const key of models) await writeFileAtomic(join(folder, artifactFiles[key]), artifacts[key]);
  await writeFileAtomic(join(folder, manifestFile), `${JSON.stringify(artifacts.manifest, null, 2)}\n`);
}

/** Reads the four files of a folder. Throws UserError where one is missing or cannot be read. */
export async function readTrainingArtifacts(folder: string): Promise<ArtifactBytes> {
  const checkpoint = await readFileBytes(join(folder, artifactFiles.checkpoint));
  return { ...(await readTrainingModels(folder)), checkpoint };
}

/** Reads the three models of a folder. Throws UserError where one is missing or cannot be read. */
export async function readTrainingModels(folder: string): Promise<ModelBytes> {
  const read = (key: keyof ModelBytes) => readFileBytes(join(folder, artifactFiles[key]));
  const [trainingModel, evalModel, optimizerModel] = await Promise.all([
    read("trainingModel"),
    read("evalModel"),
    read("optimizerModel"),
  ]);
  return { trainingModel, evalModel, optimizerModel };
}

/** Reads `manifest.json` of a folder. Throws UserError where it is missing or not one that we write. */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, manifestFile);
  const text = new TextDecoder().decode(await readFileBytes(path));
  const refusal = new UserError(
    `${path} is not a manifest of training artifacts: write them anew with shake build-graph.`,
  );
  try {
    const manifest = JSON.parse(text) as Manifest;
    if (manifest.format === 1 && manifest.settings && manifest.cost) return manifest;
  } catch {
    throw refusal;
  }
  throw refusal;
}
