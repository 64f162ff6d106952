import { join } from "node:path";
import {
  type ArtifactBytes,
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
 * they start with the run's last weights, or with their averages where the run has some, and a sentence says
 * so. Throws UserError where they are damaged.
 */
export async function openGivenArtifacts(path: string): Promise<GivenArtifacts> {
  await expectNoFile(path);
  const run = await runOf(path);
  const graph = run === undefined ? path : join(run, "graph");
  const manifest = await readManifest(graph, (each): each is Manifest => each.format === 1);
  if (run === undefined) {
    return {
      artifacts: { ...(await readTrainingArtifacts(path)), manifest },
      folder: path,
      isTrained: false,
    };
  }
  const where = join(run, "checkpoints", "last");
  const checkpoint = encodeCheckpoint(restarted(decodeCheckpoint(await readFileBytes(where), where)));
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
 * A checkpoint with its weights and moments, before the first step of a run on any data. Averages take the
 * place of the weights: kept beside them, they would be evaluated in place of what the new run trains.
 */
function restarted(given: Checkpoint): Checkpoint {
  const checkpoint = averagedCheckpoint(given);
  const properties = new Map(checkpoint.properties);
  for (const name of ["progress", DATA_DIGEST]) properties.delete(name);
  for (const name of ["epoch", "step"]) properties.set(name, 0n);
  properties.set(GIVEN_WEIGHTS, 1n);
  return { ...checkpoint, properties };
}
