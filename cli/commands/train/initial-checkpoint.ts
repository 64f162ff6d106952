import { join } from "node:path";
import {
  averagedCheckpoint,
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  readFileBytes,
} from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import type { Tensor } from "../../../graph-builder/index.ts";
import { describeData } from "../../../runtime/data/dataset.ts";
import { isFolder } from "../../../runtime/node/files.ts";
import { type ArtifactSettings, checkpointClasses, checkpointSettings } from "../../../shakenet/index.ts";
import { runAround } from "../../../shakenet/node/run.ts";
import { GIVEN_WEIGHTS } from "../../../shakenet/provenance.ts";

/** The checkpoint that a new ShakeNet takes its weights from. */
export interface InitialCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly where: string;
  readonly settings: ArtifactSettings;
  /** The classes that it tells apart; undefined where nothing says them. */
  readonly classNames: readonly string[] | undefined;
}

/**
 * Reads a checkpoint, or the last one of a run; averages take the place of its weights where it has some.
 * Throws UserError where it is not one of a ShakeNet.
 */
export async function readInitialCheckpoint(path: string): Promise<InitialCheckpoint> {
  const where = (await isFolder(path)) ? join(path, "checkpoints", "last") : path;
  const checkpoint = averagedCheckpoint(decodeCheckpoint(await readFileBytes(where), where));
  const settings = checkpointSettings(checkpoint, where);
  const run = await runAround(where);
  const { classNames } = run ? describeData(run.config) : checkpointClasses(checkpoint, where);
  return { checkpoint, where, settings, classNames };
}

/** The last layer, whose weights belong to the classes. */
const head = /^fc\./;

/**
 * A network's first checkpoint with the weights and statistics of another one. The last layer is new unless
 * the other one tells the same classes apart. Throws UserError where the networks differ.
 */
export function withInitialWeights(
  bytes: Uint8Array,
  { checkpoint: from, where, classNames: known }: InitialCheckpoint,
  classNames: readonly string[],
): Uint8Array {
  const isKept = known?.join("\n") === classNames.join("\n");
  const checkpoint = decodeCheckpoint(bytes, "the new network");
  const copied = (own: ReadonlyMap<string, Tensor>) =>
    new Map(
      [...own].map(([name, tensor]) => [
        name,
        head.test(name) && !isKept ? tensor : tensorOf(from, name, tensor, where),
      ]),
    );
  return encodeCheckpoint({
    ...checkpoint,
    trainable: copied(checkpoint.trainable),
    frozen: copied(checkpoint.frozen),
    properties: new Map([...checkpoint.properties, [GIVEN_WEIGHTS, 1n]]),
  });
}

function tensorOf({ trainable, frozen }: Checkpoint, name: string, own: Tensor, where: string): Tensor {
  const found = trainable.get(name) ?? frozen.get(name);
  if (found && found.dims.join() === own.dims.join()) return found;
  const has = found ? `has ${name} [${found.dims.join(", ")}]` : `has no ${name}`;
  throw new UserError(
    `${where} ${has}, and the network wants it [${own.dims.join(", ")}]: it is another network.`,
    {
      code: "artifacts-mismatch",
      details: { path: where, name },
    },
  );
}
