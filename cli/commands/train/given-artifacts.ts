import { join } from "node:path";
import {
  type ArtifactBytes,
  artifactFiles,
  averagedCheckpoint,
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  type Manifest,
  readFileBytes,
} from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import { isFolder, isThere } from "../../../runtime/node/files.ts";
import { readManifest, readTrainingArtifacts, readTrainingModels } from "../../../runtime/node/index.ts";
import { DATA_DIGEST, GIVEN_WEIGHTS } from "../../../shakenet/provenance.ts";
import { shakeCommand } from "../../invocation.ts";
import { runOf } from "../../models/run-model.ts";
import { say } from "../../terminal.ts";

/** The training artifacts that --artifacts names. */
export interface GivenArtifacts {
  readonly artifacts: ArtifactBytes & { readonly manifest: Manifest };
  /** The folder that errors name, and after which a run is called. */
  readonly folder: string;
  /** Whether the weights have been trained by a run. */
  readonly isTrained: boolean;
}

/**
 * Reads training artifacts from a folder that build-graph wrote, or from a run or its folder `graph`: then
 * they start with the run's last weights, and a sentence says so. Averages take the place of the weights in
 * either. Throws UserError where they are damaged.
 */
export async function openGivenArtifacts(path: string): Promise<GivenArtifacts> {
  await expectNoFile(path);
  const run = await runOf(path);
  const graph = run === undefined ? path : join(run, "graph");
  const manifest = await readManifest(graph, (each): each is Manifest => each.format === 1);
  if (run === undefined) {
    const { checkpoint: bytes, ...models } = await readTrainingArtifacts(path);
    const checkpoint = withoutAverages(bytes, join(path, artifactFiles.checkpoint));
    return { artifacts: { ...models, checkpoint, manifest }, folder: path, isTrained: false };
  }
  const where = join(run, "checkpoints", "last");
  const last = averagedCheckpoint(decodeCheckpoint(await readFileBytes(where), where));
  const checkpoint = encodeCheckpoint(restarted(last));
  say(
    `${path} is of a run: the new run starts with the weights of ${where}. To go on with that one: ${shakeCommand("train", "--resume", run)}`,
  );
  const artifacts = { ...(await readTrainingModels(graph)), manifest, checkpoint };
  return { artifacts, folder: run, isTrained: true };
}

async function expectNoFile(path: string): Promise<void> {
  if (!(await isThere(path)) || (await isFolder(path))) return;
  const command = shakeCommand("build-graph", "--from", path);
  throw new UserError(
    `${path} is a file, and --artifacts takes a folder that build-graph wrote: for a model, ${command} writes one.`,
    { code: "setting-invalid", details: { setting: "artifacts", path } },
  );
}

/**
 * A checkpoint in which averages have taken the place of the weights: kept beside them, they would be
 * evaluated in place of what the new run trains. The same bytes where there are none.
 */
function withoutAverages(bytes: Uint8Array, where: string): Uint8Array {
  const checkpoint = decodeCheckpoint(bytes, where);
  const averaged = averagedCheckpoint(checkpoint);
  return averaged === checkpoint ? bytes : encodeCheckpoint(averaged);
}

/** A checkpoint with its weights and moments, before the first step of a run on any data. */
function restarted(checkpoint: Checkpoint): Checkpoint {
  const properties = new Map(checkpoint.properties);
  for (const name of ["progress", DATA_DIGEST]) properties.delete(name);
  for (const name of ["epoch", "step"]) properties.set(name, 0n);
  properties.set(GIVEN_WEIGHTS, 1n);
  return { ...checkpoint, properties };
}
