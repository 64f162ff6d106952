/** How many images of a class were taken for a class, which may be the same one. */
export interface ConfusionCell {
  readonly label: number;
  readonly predicted: number;
  readonly images: number;
}

/** Counts pairs of a label and a prediction. Only pairs that occur take memory. */
export class ConfusionCounts {
  readonly #rows = new Map<number, Map<number, number>>();

  /** Counts an image of the class `label` that was taken for `predicted`. */
  add(label: number, predicted: number): void {
    const row = this.#rows.get(label) ?? new Map<number, number>();
    this.#rows.set(label, row.set(predicted, (row.get(predicted) ?? 0) + 1));
  }

  /** The pairs that occur, in the order of the labels and then of the predictions. */
  cells(): readonly ConfusionCell[] {
    const cells = [...this.#rows].flatMap(([label, row]) =>
      [...row].map(([predicted, images]) => ({ label, predicted, images })),
    );
    return cells.sort((a, b) => a.label - b.label || a.predicted - b.predicted);
  }
}

/** The confusion matrix [classes, classes]: a row for each label, a column for each prediction. */
export function confusionMatrix(cells: readonly ConfusionCell[], classes: number): number[][] {
  const rows = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (const { label, predicted, images } of cells) {
    const row = rows[label];
    if (row && predicted < classes) row[predicted] = images;
  }
  return rows;
}

/** Images of a class that were taken for another class. */
export interface ConfusedPair extends ConfusionCell {
  /** The number of all images of the class `label`. */
  readonly of: number;
}

/**
 * The `most` pairs of different classes with the most images; of equal ones first those with the larger share
 * of the label's images.
 */
export function confusedPairs(cells: readonly ConfusionCell[], most: number): readonly ConfusedPair[] {
  const totals = new Map<number, number>();
  for (const { label, images } of cells) totals.set(label, (totals.get(label) ?? 0) + images);
  return cells
    .filter(({ label, predicted }) => label !== predicted)
    .map((cell) => ({ ...cell, of: totals.get(cell.label) ?? cell.images }))
    .sort((a, b) => b.images - a.images || a.of - b.of)
    .slice(0, most);
}
