import type { DataReference } from "../../runtime/data/dataset.ts";

/**
 * What the images are that a run measures itself on after its epochs: the validation part of one's own
 * pictures, the test split of a data set that is known by name.
 */
export function measuredPart({ pictures }: Pick<DataReference, "pictures">): "validation" | "test" {
  return pictures ? "validation" : "test";
}
