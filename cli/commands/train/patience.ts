import type { ClassificationRecord } from "../../../runtime/index.ts";

/** How long a run waits for a better accuracy. */
export class Patience {
  readonly #epochs: number;
  #best: ClassificationRecord | undefined;
  #last: ClassificationRecord | undefined;

  /**
   * Waits `epochs` epochs for a better accuracy, for ever where that is undefined; `records` are those so
   * far.
   */
  constructor(epochs: number | undefined, records: readonly ClassificationRecord[]) {
    this.#epochs = epochs ?? Number.POSITIVE_INFINITY;
    for (const record of records) this.count(record);
  }

  /** Counts the epochs up to a record. */
  count(record: ClassificationRecord): void {
    this.#last = record;
    const isSound = Number.isFinite(record.test_accuracy) && Number.isFinite(record.test_loss);
    if (isSound && !(this.#best && record.test_accuracy <= this.#best.test_accuracy)) this.#best = record;
  }

  /** The epoch of the best accuracy, the first of equal ones; undefined before there is one. */
  get best(): ClassificationRecord | undefined {
    return this.#best;
  }

  /** Whether the last epochs brought nothing better. */
  get isOver(): boolean {
    return (this.#last?.epoch ?? 0) - (this.#best?.epoch ?? 0) >= this.#epochs;
  }
}
