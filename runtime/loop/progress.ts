import * as z from "zod/mini";
import type { Checkpoint } from "../../artifacts/checkpoint.ts";
import { parseJson } from "../../artifacts/json.ts";
import type { Metrics, Task, TrainingMetric } from "./task.ts";

/** The checkpoint's property that holds the progress. */
const PROPERTY = "progress";

const progressSchema = z.catchall(z.object({ step: z.int().check(z.minimum(0)) }), z.number());

const source = { where: `The checkpoint's property ${PROPERTY}`, code: "checkpoint-damaged" } as const;

/**
 * Where a run stands between two steps. A checkpoint keeps it as JSON, which holds doubles exactly: the step,
 * the sums over the epoch so far (a mean `loss` is summed as `lossSum`, a count `correct` as `correct`), the
 * number of examples by the task's unit, and the best metric.
 */
export class Progress<Train extends string, Test extends string> {
  readonly #task: Task<Train, Test>;
  readonly #sums: Record<Train, number>;
  #step: number;
  #examples: number;
  #best: number;

  /** The progress that a checkpoint says, or the start of a run. Throws UserError where it is damaged. */
  constructor(task: Task<Train, Test>, { properties }: Pick<Checkpoint, "properties">) {
    const json = properties.get(PROPERTY);
    const saved: Partial<Record<string, number>> =
      json === undefined ? {} : parseJson(progressSchema, String(json), source);
    this.#task = task;
    this.#step = saved["step"] ?? 0;
    this.#sums = mapMetrics(task.metrics, (metric) => saved[sumKey(metric)] ?? 0);
    this.#examples = saved[task.unit] ?? 0;
    this.#best = saved[bestKey(task)] ?? task.best.worst;
  }

  /** Steps since the start of the run. */
  get step(): number {
    return this.#step;
  }

  /** Whole epochs since the start of the run. */
  get epochs(): number {
    return Math.floor(this.#step / this.#task.stepsPerEpoch);
  }

  /** The metrics over the epoch so far. */
  get metrics(): Metrics<Train> {
    return mapMetrics(this.#task.metrics, ({ scale }, name) => (scale * this.#sums[name]) / this.#examples);
  }

  /**
   * Counts a step by the values of the outputs that its metrics name. Returns the metrics of the step alone.
   */
  count(values: Metrics<Train>, examples: number): Metrics<Train> {
    if (this.#step % this.#task.stepsPerEpoch === 0) this.#startSums();
    this.#step += 1;
    this.#examples += examples;
    return mapMetrics(this.#task.metrics, ({ over, scale }, name) => {
      this.#sums[name] += over === "mean" ? values[name] * examples : values[name];
      return (scale * values[name]) / (over === "mean" ? 1 : examples);
    });
  }

  /**
   * Starts the sums of a new epoch after an evaluation. Returns whether the evaluation is the best so far; an
   * evaluation with a metric that is not finite never is.
   */
  finishEpoch(test: Metrics<Test>): boolean {
    this.#startSums();
    const { metric, higherIsBetter } = this.#task.best;
    if (!Object.values<number>(test).every(Number.isFinite)) return false;
    const isBest = higherIsBetter ? test[metric] > this.#best : test[metric] < this.#best;
    if (isBest) this.#best = test[metric];
    return isBest;
  }

  #startSums(): void {
    for (const name in this.#sums) this.#sums[name] = 0;
    this.#examples = 0;
  }

  /** Writes itself into the properties of a checkpoint. */
  writeTo({ properties }: Pick<Checkpoint, "properties">): void {
    const { metrics, unit } = this.#task;
    const sums = Object.entries<TrainingMetric>(metrics).map(([name, metric]) => [
      sumKey(metric),
      this.#sums[name as Train],
    ]);
    const saved = {
      step: this.#step,
      ...Object.fromEntries(sums),
      [unit]: this.#examples,
      [bestKey(this.#task)]: this.#best,
    };
    properties.set("epoch", BigInt(this.epochs));
    properties.set("step", BigInt(this.#step));
    properties.set(PROPERTY, JSON.stringify(saved));
  }
}

/** One number for each metric of a task. */
export function mapMetrics<Name extends string>(
  metrics: Readonly<Record<Name, TrainingMetric>>,
  numberFor: (metric: TrainingMetric, name: Name) => number,
): Record<Name, number> {
  const entries = Object.entries<TrainingMetric>(metrics);
  return Object.fromEntries(
    entries.map(([name, metric]) => [name, numberFor(metric, name as Name)]),
  ) as Record<Name, number>;
}

function sumKey({ output, over }: TrainingMetric): string {
  return over === "mean" ? `${output}Sum` : output;
}

function bestKey({ best: { metric } }: Task): string {
  return `best${metric.charAt(0).toUpperCase()}${metric.slice(1)}`;
}
