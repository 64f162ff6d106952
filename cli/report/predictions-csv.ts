import { at } from "../../graph-builder/at.ts";
import { type Dataset, type Predictions, probabilitiesOf, scoreOf } from "../../runtime/index.ts";
import { csvLine } from "../csv.ts";

/**
 * The most probabilities that a file holds; a larger set gets those of the prediction and the label alone.
 */
const MOST = 20_000_000;

/**
 * `predictions.csv`: a line for each image with its path, or its number in the data set; its label; the
 * predicted class; the loss in nats; and the probability of every class in double precision.
 */
export function predictionsCsv(
  { logits, classes }: Predictions,
  { labels, paths, count }: Pick<Dataset, "labels" | "paths" | "count">,
  classNames: readonly string[],
): Uint8Array {
  const nameOf = (i: number) => classNames[i] ?? `class ${i}`;
  const isWhole = count * classes <= MOST;
  const columns = isWhole
    ? Array.from({ length: classes }, (_, i) => `probability of ${nameOf(i)}`)
    : ["probability of the prediction", "probability of the label"];
  const parts = [csvLine([paths ? "path" : "index", "label", "predicted", "loss", ...columns])];
  for (let i = 0; i < count; i++) {
    const label = at(labels, i);
    const row = logits.subarray(i * classes, (i + 1) * classes);
    const { predicted, loss } = scoreOf(row, label);
    const all = probabilitiesOf(row);
    const shown = isWhole ? [...all] : [at(all, predicted), at(all, label)];
    parts.push(csvLine([paths?.[i] ?? i, nameOf(label), nameOf(predicted), loss, ...shown]));
  }
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}
