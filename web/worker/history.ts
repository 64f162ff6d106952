import type { ClassificationRecord } from "../../runtime/data/classification-task.ts";
import type { TrainingHistory } from "../calls/training.ts";

type Point = TrainingHistory["points"][number];

/** The curves of a training so far. What is added after a resume replaces what the cut left behind it. */
export class History {
  #points: Point[];
  #records: ClassificationRecord[];
  #predictions: Uint8Array;

  constructor({ points, records, predictions }: Partial<TrainingHistory> = {}) {
    this.#points = [...(points ?? [])];
    this.#records = [...(records ?? [])];
    this.#predictions = predictions ?? new Uint8Array();
  }

  get data(): TrainingHistory {
    return { points: this.#points, records: this.#records, predictions: this.#predictions };
  }

  get records(): readonly ClassificationRecord[] {
    return this.#records;
  }

  addPoint(point: Point): void {
    dropFrom(this.#points, point.step);
    this.#points.push(point);
  }

  addRecord(record: ClassificationRecord, predictions: Uint8Array): void {
    dropFrom(this.#records, record.step);
    this.#records.push(record);
    this.#predictions = predictions;
  }
}

/** Removes the entries of a step and of later ones. */
function dropFrom(entries: { readonly step: number }[], step: number): void {
  while ((entries.at(-1)?.step ?? 0) >= step) entries.pop();
}
