import { UserError } from "../graph-builder/errors.ts";

/** The most bytes of a checkpoint: the offsets of a FlatBuffer are int32. */
export const LARGEST_CHECKPOINT = 2 ** 31;

/** Throws UserError for a checkpoint that the format cannot hold. */
export function expectFittingCheckpoint(bytes: number): void {
  if (bytes < LARGEST_CHECKPOINT) return;
  throw new UserError(
    `The checkpoint of the parameters and their moments takes ${(bytes / 1e9).toFixed(1)} GB, and its format holds less than ${(LARGEST_CHECKPOINT / 1e9).toFixed(1)} GB: train fewer parameters, or by an optimizer with fewer moments.`,
    { code: "model-unsupported", details: { bytes } },
  );
}

/** Throws UserError for the dimensions of a new float tensor that no checkpoint holds. */
export function expectFittingTensor(name: string, dims: readonly number[]): void {
  const values = dims.reduce((product, dim) => product * dim, 1);
  if (4 * values < LARGEST_CHECKPOINT) return;
  const most = (LARGEST_CHECKPOINT / 4).toLocaleString("en-US");
  throw new UserError(
    `${name} [${dims.join(", ")}] would have ${values.toLocaleString("en-US")} values, and a checkpoint holds less than ${most}.`,
    { code: "setting-invalid", details: { tensor: name, dims } },
  );
}
