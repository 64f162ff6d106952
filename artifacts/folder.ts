import { join } from "node:path";
import { makeFolder, readFileBytes, writeFileAtomic } from "./files.ts";
import type { TrainingArtifacts } from "./training-artifacts.ts";

/** The names of ONNX Runtime's training artifacts. */
export const artifactFiles = {
  trainingModel: "training_model.onnx",
  evalModel: "eval_model.onnx",
  optimizerModel: "optimizer_model.onnx",
  checkpoint: "checkpoint",
} as const;

/** The bytes of a folder's four files. */
export type ArtifactBytes = { readonly [K in keyof typeof artifactFiles]: Uint8Array };

/** Writes the artifacts and `manifest.json` into a folder, each file atomically. Throws UserError where it cannot be written. */
export async function writeTrainingArtifacts(folder: string, artifacts: TrainingArtifacts): Promise<void> {
  await makeFolder(folder);
  for (const key of Object.keys(artifactFiles) as (keyof ArtifactBytes)[]) {
    await writeFileAtomic(join(folder, artifactFiles[key]), artifacts[key]);
  }
  await writeFileAtomic(join(folder, "manifest.json"), `${JSON.stringify(artifacts.manifest, null, 2)}\n`);
}

/** Reads the four files of a folder. Throws UserError where one is missing or cannot be read. */
export async function readTrainingArtifacts(folder: string): Promise<ArtifactBytes> {
  const read = (key: keyof ArtifactBytes) => readFileBytes(join(folder, artifactFiles[key]));
  const [trainingModel, evalModel, optimizerModel, checkpoint] = await Promise.all([
    read("trainingModel"),
    read("evalModel"),
    read("optimizerModel"),
    read("checkpoint"),
  ]);
  return { trainingModel, evalModel, optimizerModel, checkpoint };
}
