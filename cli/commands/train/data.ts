import { decodeCheckpoint, encodeCheckpoint } from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import type { Dataset } from "../../../runtime/index.ts";
import { datasetDigest } from "../../../runtime/node/index.ts";
import { DATA_DIGEST } from "../../../shakenet/provenance.ts";
import type { DataSets, PreparedRun } from "./prepared-run.ts";

/** Loads the training and validation images of a run. */
export async function loadSets({ config, data, limit = (set) => set }: PreparedRun): Promise<DataSets> {
  try {
    return {
      trainSet: limit(await data.load("train", config.trainLimit)),
      testSet: await data.load("validation", config.testLimit),
    };
  } finally {
    await data.close();
  }
}

/**
 * The checkpoint with the digest of its training data; the first one of a run also with what the network
 * takes from the data, such as the filters of a whitening stem. Throws UserError where it has the digest of
 * other data.
 */
export function withData(
  { checkpoint: bytes, where, config, takeFromData }: PreparedRun,
  trainSet: Dataset,
): Uint8Array {
  const digest = datasetDigest(trainSet);
  const checkpoint = decodeCheckpoint(bytes, where);
  const known = checkpoint.properties.get(DATA_DIGEST);
  if (known !== undefined && known !== digest) {
    throw new UserError(`The training images of ${config.data} are not those that ${where} was trained on.`, {
      code: "data-mismatch",
      details: { data: config.data, known, digest },
    });
  }
  if (known === undefined) takeFromData?.(checkpoint, trainSet);
  checkpoint.properties.set(DATA_DIGEST, digest);
  return encodeCheckpoint(checkpoint);
}
