import { UserError } from "../../../graph-builder/errors.ts";
import { type DatasetName, datasetWith, shapesDataset } from "../../data/dataset.ts";
import type { Dataset, LabelledImages, LoadOptions } from "../../data/types.ts";
import { loadCifar } from "./cifar.ts";

const loaders: Record<DatasetName, (options: LoadOptions) => LabelledImages | Promise<LabelledImages>> = {
  cifar10: (options) => loadCifar("cifar10", options),
  cifar100: (options) => loadCifar("cifar100", options),
  shapes: ({ split, limit, seed }) => shapesDataset(split, limit, seed),
};

/**
 * Loads a split of a data set; CIFAR is read from `dataDir`, or downloaded once and kept.
 * Throws a UserError for a limit that is not a positive integer and for files that are missing, cut off,
 * wrong or out of reach.
 */
export async function loadDataset(name: DatasetName, options: LoadOptions): Promise<Dataset> {
  const { limit } = options;
  if (limit !== undefined && !(Number.isSafeInteger(limit) && limit > 0)) {
    throw new UserError(`The limit of images must be a positive integer, not ${limit}.`, {
      code: "setting-invalid",
    });
  }
  return datasetWith(name, await loaders[name](options));
}
