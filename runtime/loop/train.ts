import { averagedCheckpoint, splitAverages } from "../../artifacts/averages.ts";
import { type Checkpoint, encodeCheckpoint } from "../../artifacts/checkpoint.ts";
import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { shown } from "../../graph-builder/visible.ts";
import type { ChunkTrainer, Trainer } from "../session/trainer.ts";
import type { NamedTensors } from "../session/training-session.ts";
import { type AverageSettings, averageStep, averageStride } from "./averaging.ts";
import { type Call, prepareCall, takeCall } from "./calls.ts";
import { Clock } from "./clock.ts";
import { DivergedError } from "./diverged-error.ts";
import type { CheckpointKind, EpochRecord, TrainingEvent } from "./events.ts";
import { costLeft, evaluationsLeft, Pace } from "./pace.ts";
import { mapMetrics, Progress } from "./progress.ts";
import type { Schedule } from "./schedule.ts";
import type { Metrics, Task } from "./task.ts";

/** Where checkpoints go. Each call must leave the old file or the new one. */
export interface CheckpointStore {
  save(kind: CheckpointKind, bytes: Uint8Array): Promise<void>;
}

/** How long and how fast to train, and what is kept. */
export interface TrainSettings {
  readonly epochs: number;
  readonly learningRate: Schedule;
  /**
   * How many steps lie between two checkpoints; Infinity for no others than those at the end of an epoch,
   * which are always made. A session that takes several steps a call saves after the call.
   */
  readonly checkpointEverySteps: number;
  /**
   * How many epochs lie between two evaluations; 1 where left out. The last epoch is always evaluated. The
   * record of an evaluation has the training's metrics over the epoch that it follows.
   */
  readonly evaluateEveryEpochs?: number | undefined;
  /** Averages weights and running statistics, and evaluates the averages; no averages where left out. */
  readonly average?: AverageSettings | undefined;
  readonly store: CheckpointStore;
  /** Ends the run after the call under way, with its checkpoint saved. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Trains from the trainer's checkpoint to the end of the last epoch. A step depends on the task, the settings
 * and its number alone, so a run that was cut and opened again from its last checkpoint ends in the same
 * bytes as one that was not (on the CPU, with the same number of threads). The feeds of the next call are
 * made while one runs.
 * Throws DivergedError where a metric or a parameter is no longer finite, and UserError for settings that
 * are no such thing, where the training model lacks an output that the task names, and where the trainer's
 * checkpoint has averages that `average` does not go on with. The checkpoints saved before are kept.
 */
export async function* train<Train extends string, Test extends string, Unit extends string>(
  trainer: Trainer | ChunkTrainer,
  task: Task<Train, Test, Unit>,
  settings: TrainSettings,
): AsyncGenerator<TrainingEvent<Train, Test, Unit>> {
  expectSettings(settings);
  const { epochs, learningRate, average, signal } = settings;
  const steps = task.stepsPerEpoch * epochs;
  const run = new Run(trainer, task, settings, await trainer.checkpoint());
  const { progress } = run;
  yield await run.save("last");
  const stride = average && averageStride(average);
  run.startClock();
  let next = prepareCall(trainer, task, progress.step, stride);
  while (progress.step < steps) {
    const call = await next;
    const { first, examples } = call;
    const rates = examples.map((_, i) => learningRate(first + i + 1, steps));
    const running = takeCall(trainer, call, rates);
    if (first + examples.length < steps) next = prepareCall(trainer, task, first + examples.length, stride);
    const outputs = await running;
    const averaging = average && averageStep(average, first + examples.length, steps);
    if (averaging) await trainer.averageWeights(averaging);
    run.countCall(call);
    for (const [i, rate] of rates.entries()) {
      const batchMetrics = run.count(outputs, i, at(examples, i), rate);
      yield { type: "step", ...run.position(), batchMetrics };
    }
    yield* run.finishCall(examples.length);
    if (signal?.aborted && progress.step < steps) {
      yield { type: "interrupted", step: progress.step };
      return;
    }
  }
}

/** Throws UserError for a rate that is no schedule, and for counts that are no whole numbers from 1. */
function expectSettings({
  epochs,
  learningRate,
  checkpointEverySteps,
  evaluateEveryEpochs = 1,
}: TrainSettings): void {
  if (typeof learningRate !== "function") {
    const sentence = `learningRate must be a schedule such as cosine(0.1), not ${shown(learningRate)}.`;
    throw new UserError(sentence, { code: "setting-invalid", details: { setting: "learningRate" } });
  }
  for (const [setting, value] of Object.entries({ epochs, checkpointEverySteps, evaluateEveryEpochs })) {
    const isNever = setting !== "epochs" && value === Number.POSITIVE_INFINITY;
    if (isNever || (Number.isInteger(value) && value >= 1)) continue;
    throw new UserError(`${setting} must be a whole number from 1, not ${shown(value)}.`, {
      code: "setting-invalid",
      details: { setting, value },
    });
  }
}

/** Throws UserError for averages that the training would leave as they are, and evaluate and export. */
function expectAverage(average: AverageSettings | undefined, checkpoint: Checkpoint): void {
  if (average || splitAverages(checkpoint).averages.size === 0) return;
  throw new UserError(
    "The checkpoint has averages of the weights, and this training makes none: give `average`, or begin with averagedCheckpoint(checkpoint).",
    { code: "setting-missing", details: { setting: "average" } },
  );
}

/** What a run holds on to between its steps. */
class Run<Train extends string, Test extends string, Unit extends string> {
  readonly progress: Progress<Train, Test>;
  readonly #pace = new Pace();
  #clock = new Clock();
  readonly #trainer: Trainer | ChunkTrainer;
  readonly #task: Task<Train, Test, Unit>;
  readonly #settings: TrainSettings;
  #learningRate = 0;
  #savedStep: number | undefined;

  constructor(
    trainer: Trainer | ChunkTrainer,
    task: Task<Train, Test, Unit>,
    settings: TrainSettings,
    checkpoint: Checkpoint,
  ) {
    expectAverage(settings.average, checkpoint);
    this.#trainer = trainer;
    this.#task = task;
    this.#settings = settings;
    this.progress = new Progress(task, checkpoint);
  }

  /** Starts to measure an epoch, or what is left of one. */
  startClock(): void {
    this.#clock = new Clock();
  }

  /** Counts a call, which ends now. Its steps are of one epoch. */
  countCall({ first, examples }: Call): void {
    const epoch = Math.floor(first / this.#task.stepsPerEpoch);
    this.#pace.countSteps(examples, this.#task.stepCost?.(epoch));
  }

  /**
   * Counts a step by the outputs of its call, at its place in the call. Returns the metrics of the step
   * alone. Throws DivergedError where one of them is not finite.
   */
  count(outputs: NamedTensors, place: number, examples: number, learningRate: number): Metrics<Train> {
    this.#learningRate = learningRate;
    const values = mapMetrics(this.#task.metrics, ({ output }) => {
      const found = outputs[output]?.data[place];
      if (found === undefined)
        throw new UserError(`The training model has no output ${output}.`, { code: "output-unknown" });
      const value = Number(found);
      if (Number.isFinite(value)) return value;
      throw this.#diverged(this.progress.step + 1, `the ${output} is ${value}`);
    });
    this.#clock.count(examples);
    return this.progress.count(values, examples);
  }

  /** What an event says of the run behind a step. */
  position() {
    const { step, metrics } = this.progress;
    const { stepsPerEpoch } = this.#task;
    const { epochs, evaluateEveryEpochs } = this.#settings;
    const steps = stepsPerEpoch * epochs;
    const done = Math.floor((step - 1) / stepsPerEpoch);
    const evaluations = evaluationsLeft(done, epochs, evaluateEveryEpochs);
    return {
      epoch: done + 1,
      step,
      steps,
      metrics,
      learningRate: this.#learningRate,
      examplesPerSecond: this.#pace.examplesPerSecond,
      secondsLeft: this.#pace.secondsFor(costLeft(step, epochs, this.#task), evaluations),
    };
  }

  /** Ends a call of `callSteps` steps: evaluates or saves where an epoch has ended or a checkpoint is due. */
  async *finishCall(callSteps: number): AsyncGenerator<TrainingEvent<Train, Test, Unit>> {
    const { epochs, checkpointEverySteps, evaluateEveryEpochs = 1, signal } = this.#settings;
    const { step, epochs: done } = this.progress;
    const isEpochEnd = step % this.#task.stepsPerEpoch === 0;
    const isEvaluated = done % evaluateEveryEpochs === 0 || done === epochs;
    const isDue = step % checkpointEverySteps < callSteps;
    if (isEpochEnd && isEvaluated) {
      yield* this.#finishEpoch();
      this.#pace.countEvaluation();
      this.startClock();
    } else if (isEpochEnd || isDue || signal?.aborted) {
      yield await this.save("last");
    }
  }

  async *#finishEpoch(): AsyncGenerator<TrainingEvent<Train, Test, Unit>> {
    const { metrics } = this.progress;
    const { rate } = this.#clock;
    const test = yield* this.#evaluate();
    const isBest = this.progress.finishEpoch(test);
    yield { type: "epoch", record: this.#record(metrics, test, rate), isBest };
    if (isBest) yield await this.save("best");
    yield await this.save("last");
  }

  async *#evaluate(): AsyncGenerator<TrainingEvent<Train, Test, Unit>, Metrics<Test>> {
    const evaluation = this.#task.evaluate(averagedCheckpoint(await this.#trainer.checkpoint()));
    const results: Metrics<Test>[] = [];
    const watched = async function* () {
      results.push(yield* evaluation);
    };
    // a consumer that stops here ends the evaluation too, which frees its model
    for await (const progress of watched()) yield { type: "evaluation", ...progress };
    return at(results, 0);
  }

  #record(train: Metrics<Train>, test: Metrics<Test>, rate: number) {
    const prefixed = (prefix: string, metrics: Metrics<string>) =>
      Object.fromEntries(Object.entries(metrics).map(([name, value]) => [`${prefix}_${name}`, value]));
    return {
      epoch: this.progress.epochs,
      step: this.progress.step,
      ...prefixed("train", train),
      ...prefixed("test", test),
      learning_rate: this.#learningRate,
      [`${this.#task.unit}_per_second`]: rate,
      seconds: this.#clock.seconds,
    } as EpochRecord<Train, Test, Unit>;
  }

  /** Saves a checkpoint of finite parameters, with the progress in it. */
  async save(kind: CheckpointKind): Promise<TrainingEvent<Train, Test, Unit>> {
    const checkpoint = await this.#trainer.checkpoint();
    const { step } = this.progress;
    for (const [name, { data }] of [...checkpoint.trainable, ...checkpoint.frozen]) {
      const isReal = data instanceof Float32Array || data instanceof Float64Array;
      if (isReal && !data.every(Number.isFinite)) {
        throw this.#diverged(step, `${name} has a value that is not finite`);
      }
    }
    this.progress.writeTo(checkpoint);
    await this.#settings.store.save(kind, encodeCheckpoint(checkpoint));
    this.#savedStep = step;
    return { type: "checkpoint", kind, step };
  }

  #diverged(step: number, reason: string): DivergedError {
    const learningRate = this.#learningRate;
    return new DivergedError({ step, learningRate, savedStep: this.#savedStep, reason });
  }
}
