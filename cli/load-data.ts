import type { DatasetName } from "../runtime/data/dataset.ts";
import type { Dataset } from "../runtime/index.ts";
import { loadDataset } from "../runtime/node/index.ts";
import { say } from "./terminal.ts";

/** Loads a split of a data set as loadDataset does, with its notes as lines on standard error. */
export function loadData(name: DatasetName, options: Parameters<typeof loadDataset>[1]): Promise<Dataset> {
  return loadDataset(name, { onNote: say, ...options });
}
