import { UserError } from "../../graph-builder/errors.ts";
import type { DatasetName } from "../../runtime/data/dataset.ts";
import { cacheFolder } from "../../runtime/node/data/download.ts";
import { loadDataset } from "../../runtime/node/index.ts";
import { openRun } from "../../shakenet/node/run.ts";

const COUNT = 100;

/** Pictures of a test split in CIFAR-10's binary format: for each its class, then its pixels uint8 [3, 32, 32]. */
export interface TestPictures {
  readonly data: DatasetName;
  readonly records: Uint8Array;
}

/**
 * The first test pictures of what a run was trained on. Undefined for shapes, which the page draws itself, and where the data set is
 * no longer on this disk: nothing is downloaded. Throws UserError where the settings of the run are damaged.
 */
export async function testPictures(run: string): Promise<TestPictures | undefined> {
  const { data, dataDir = cacheFolder() } = (await openRun(run)).config;
  if (data === "shapes") return undefined;
  try {
    const { images, labels } = await loadDataset(data, { split: "test", limit: COUNT, dataDir });
    const pixels = images.length / labels.length;
    const records = new Uint8Array(images.length + labels.length);
    for (const [i, label] of labels.entries()) {
      records[i * (pixels + 1)] = label;
      records.set(images.subarray(i * pixels, (i + 1) * pixels), i * (pixels + 1) + 1);
    }
    return { data, records };
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}
