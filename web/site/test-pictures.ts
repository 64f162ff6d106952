import { UserError } from "../../graph-builder/errors.ts";
import { cifarRecords, type DatasetName, datasets, isDatasetName } from "../../runtime/data/dataset.ts";
import { pixelsOf } from "../../runtime/data/types.ts";
import { cacheFolder } from "../../runtime/node/cache-folder.ts";
import { loadDataset } from "../../runtime/node/index.ts";
import { openRun } from "../../shakenet/node/run.ts";

const COUNT = 100;

/**
 * Test pictures in CIFAR-10's binary format: for each picture its class, then its pixels uint8 [3, 32, 32].
 */
export interface TestPictures {
  readonly data: DatasetName;
  readonly records: Uint8Array;
}

/**
 * The first test pictures of the data set of a run. The result is undefined for `shapes`, which the page
 * draws, for pictures of one's own or of another size, and where the data set is not on this disk: nothing is
 * downloaded. Throws UserError where the settings of the run are damaged.
 */
export async function testPictures(run: string): Promise<TestPictures | undefined> {
  const { data, dataDir = cacheFolder() } = (await openRun(run)).config;
  if (data === "shapes" || !isDatasetName(data) || pixelsOf(datasets[data].size) !== 3 * 32 * 32)
    return undefined;
  try {
    return { data, records: cifarRecords(await loadDataset(data, { split: "test", limit: COUNT, dataDir })) };
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
