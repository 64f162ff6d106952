import { UserError } from "../../../graph-builder/errors.ts";
import { type DatasetName, datasetNames, datasetWith, shapesDataset } from "../../data/dataset.ts";
import type { Dataset, LoadOptions } from "../../data/types.ts";
import { cifar } from "./cifar.ts";
import { idx } from "./idx.ts";
import { loadPublished, type PublishedDataset } from "./published.ts";
import { stl10 } from "./stl10.ts";

const published: Readonly<Record<Exclude<DatasetName, "shapes">, () => PublishedDataset>> = {
  cifar10: () => cifar("cifar10"),
  cifar100: () => cifar("cifar100"),
  mnist: () => idx("mnist"),
  "fashion-mnist": () => idx("fashion-mnist"),
  stl10: () => stl10(),
};

/** The names of the data sets that are downloaded, each with the folder of its files in the cache. */
export function downloadedFolders(): ReadonlyMap<string, string> {
  return new Map(Object.entries(published).map(([name, make]) => [name, make().folders[0] ?? name]));
}

/**
 * Loads a split of a data set; all but `shapes` are read from `dataDir`, or downloaded once and kept.
 * Throws a UserError for another name or split, for a limit that is not a positive integer and for files that
 * are missing, cut off, wrong or out of reach.
 */
export async function loadDataset(name: DatasetName, options: LoadOptions): Promise<Dataset> {
  if (!datasetNames.includes(name)) {
    const message = `${name} is not the name of a data set: it is one of ${datasetNames.join(", ")}.`;
    throw new UserError(message, { code: "data-unknown", details: { value: name } });
  }
  const { split, limit, seed } = options ?? {};
  if (split !== "train" && split !== "test") {
    const message = `The split of a data set must be train or test, not ${split}.`;
    throw new UserError(message, { code: "setting-invalid", details: { setting: "split", value: split } });
  }
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit > 0)) {
    throw new UserError(`The limit of images must be a positive integer, not ${limit}.`, {
      code: "setting-invalid",
    });
  }
  if (name === "shapes") return shapesDataset(split, limit, seed);
  return datasetWith(name, await loadPublished(published[name](), options));
}
