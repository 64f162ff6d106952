import { visibleName } from "../../../graph-builder/visible.ts";
import { datasets, isDatasetName } from "../../../runtime/data/dataset.ts";
import { type ConfusionCell, confusedPairs, confusionMatrix } from "../../../runtime/index.ts";
import type { MeasuredImages } from "../../data/measured.ts";
import { formatTable } from "../../format.ts";
import type { Scores } from "./run.ts";

/** What was measured. */
export interface MeasuredScores extends Scores, Pick<MeasuredImages, "part"> {
  readonly what: string;
  readonly data: string;
  readonly classNames: readonly string[];
}

/** The most columns of a confusion matrix in a terminal, and the most pairs that are listed. */
const [mostColumns, mostPairs] = [80, 10];

/** The evaluation for people. */
export function describe(measured: MeasuredScores): string {
  const { plain, mirrored, what, data, part } = measured;
  const { loss, accuracy, images, reliability } = plain;
  const rows = plain.perClass
    .filter((each) => each.images > 0)
    .map((each) => [
      each.className,
      each.images,
      each.correct,
      percent(each.correct, each.images),
      percent(each.correct, each.predicted),
    ]);
  const kind = part === "all" ? "images" : `${part} images`;
  return [
    formatTable(["class", "images", "correct", "recall", "precision"], rows),
    "",
    ...matrixLines(measured),
    ...pairLines(measured),
    `${what} on ${describeName(data)}: loss ${loss.toFixed(4)}, accuracy ${accuracy.toFixed(2)} % of ${images.toLocaleString("en-US")} ${kind}, calibration error ${(100 * reliability.expectedError).toFixed(2)} %`,
    ...(mirrored
      ? [
          `with mirrored images too: loss ${mirrored.loss.toFixed(4)}, accuracy ${mirrored.accuracy.toFixed(2)} %`,
        ]
      : []),
  ].join("\n");
}

/** The confusion matrix where it is narrow enough: a row for each class, a column for each prediction. */
function matrixLines({ plain, classNames }: MeasuredScores): string[] {
  const predicted = plain.confusion.reduce((most, cell) => Math.max(most, cell.predicted + 1), 0);
  const count = Math.max(classNames.length, predicted);
  const nameOf = nameIn(classNames);
  const names = Array.from({ length: count }, (_, i) => visibleName(nameOf(i)));
  const side = Math.min(
    24,
    names.reduce((most, name) => Math.max(most, name.length), 0),
  );
  const widest = plain.confusion.reduce((most, { images }) => Math.max(most, String(images).length), 1);
  const column = Math.min(10, Math.floor((mostColumns - side) / count) - 2);
  if (column < Math.max(3, widest)) return [];
  const cut = (name: string, width: number) => (name.length > width ? `${name.slice(0, width - 1)}…` : name);
  const line = (name: string, cells: readonly string[]) =>
    [cut(name, side).padEnd(side), ...cells.map((cell) => cell.padStart(column))].join("  ").trimEnd();
  const rows = confusionMatrix(plain.confusion, count).map((cells, i) =>
    line(
      names[i] ?? "",
      cells.map((images) => (images === 0 ? "·" : String(images))),
    ),
  );
  const head = line(
    "",
    names.map((name) => cut(name, column)),
  );
  return ["A row is a class, a column what its images were taken for:", head, ...rows, ""];
}

function pairLines({ plain, classNames }: MeasuredScores): string[] {
  const pairs = confusedPairs(plain.confusion, mostPairs);
  if (pairs.length === 0) return [];
  const nameOf = nameIn(classNames);
  const rows = pairs.map(({ label, predicted, images, of }) => [
    nameOf(label),
    nameOf(predicted),
    images,
    percent(images, of),
  ]);
  return [formatTable(["class", "taken for", "images", "of the class"], rows), ""];
}

/** The evaluation as `--json` prints it. */
export function factsOf({ plain, mirrored, what, data, part, classNames }: MeasuredScores): object {
  const { loss, accuracy, images, reliability, confusion, perClass } = plain;
  const averaged = mirrored && { tta_loss: mirrored.loss, tta_accuracy: mirrored.accuracy };
  const nameOf = nameIn(classNames);
  const cellOf = (cell: ConfusionCell) => ({
    label: nameOf(cell.label),
    predicted: nameOf(cell.predicted),
    images: cell.images,
  });
  const rows = perClass
    .filter((each) => each.images > 0)
    .map((each) => ({
      class: each.className,
      images: each.images,
      correct: each.correct,
      recall: each.correct / each.images,
      precision: each.predicted === 0 ? null : each.correct / each.predicted,
    }));
  return {
    model: what,
    data,
    part,
    images,
    loss,
    accuracy,
    ...averaged,
    calibration_error: reliability.expectedError,
    per_class: rows,
    confusion: confusion.map(cellOf),
  };
}

function nameIn(classNames: readonly string[]): (i: number) => string {
  return (i) => classNames[i] ?? `class ${i}`;
}

/** The title of a data set that is known by name; other names as they are. */
function describeName(name: string): string {
  return isDatasetName(name) ? datasets[name].title : name;
}

function percent(part: number, whole: number): string {
  return whole === 0 ? "–" : `${((100 * part) / whole).toFixed(2)} %`;
}
