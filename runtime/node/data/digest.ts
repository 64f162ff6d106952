import { createHash } from "node:crypto";
import { at } from "../../../graph-builder/at.ts";
import type { LabelledImages } from "../../data/types.ts";

/**
 * The SHA-256, in hexadecimal, of a data set in the binary format of CIFAR-10: for each image its label, in
 * two bytes (the low one first) where the labels are 16-bit numbers, then its pixels. For all of CIFAR-10's
 * test split that is the digest of test_batch.bin.
 */
export function datasetDigest({ images, labels }: LabelledImages): string {
  const hash = createHash("sha256");
  const pixels = images.length / labels.length;
  const record = new Uint8Array(labels.BYTES_PER_ELEMENT + pixels);
  for (let i = 0; i < labels.length; i++) {
    const label = at(labels, i);
    record[0] = label & 255;
    if (labels.BYTES_PER_ELEMENT === 2) record[1] = label >> 8;
    record.set(images.subarray(i * pixels, (i + 1) * pixels), labels.BYTES_PER_ELEMENT);
    hash.update(record);
  }
  return hash.digest("hex");
}
