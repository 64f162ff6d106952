import { decodeCheckpoint, encodeCheckpoint } from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import { datasetDigest, datasets } from "../../../runtime/data/dataset.ts";
import type { Dataset, Split } from "../../../runtime/index.ts";
import { DATA_DIGEST } from "../../../shakenet/provenance.ts";
import { formatLarge } from "../../format.ts";
import { loadData } from "../../load-data.ts";
import type { Progress } from "../../progress.ts";
import type { DataSets, PreparedRun } from "./prepared-run.ts";

/** Loads the data set of a run, and shows the progress of a download. */
export async function loadSets(
  { config, limit = (set) => set }: PreparedRun,
  progress: Progress,
): Promise<DataSets> {
  const { title } = datasets[config.data];
  const load = (split: Split, count: number | undefined) =>
    loadData(config.data, {
      split,
      limit: count,
      dataDir: config.dataDir,
      onProgress: (received, total) =>
        progress.update(received, total, `${title}: ${formatLarge(received)}B of ${formatLarge(total)}B`),
    });
  try {
    return {
      trainSet: limit(await load("train", config.trainLimit)),
      testSet: await load("test", config.testLimit),
    };
  } finally {
    progress.stop();
  }
}

/**
 * The checkpoint with the digest of its training data; the first one of a run also with what the network
 * takes from the data, such as the filters of a whitening stem. Throws UserError where it has the digest of
 * other data.
 */
export async function withData(
  { checkpoint: bytes, where, config, takeFromData }: PreparedRun,
  trainSet: Dataset,
): Promise<Uint8Array> {
  const digest = await datasetDigest(trainSet);
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
