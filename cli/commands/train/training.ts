import {
  type CheckpointKind,
  type ChunkTrainer,
  type ClassificationTask,
  type Link,
  scheduleOf,
  type Trainer,
  train,
} from "../../../runtime/index.ts";
import { averageOf } from "../../../shakenet/node/loop-settings.ts";
import type { ShakeNetEngine } from "../../../shakenet/node/run.ts";
import type { Reporter } from "../../reporters/reporter.ts";
import { Patience } from "./patience.ts";
import type { TrainRun } from "./prepared-run.ts";
import { RankedTrainer } from "./ranked-trainer.ts";
import { type StepTraffic, withTraffic } from "./step-traffic.ts";
import type { Stopping } from "./stopping.ts";

/** What a run is when its training has ended. */
export interface Trained {
  /** Steps since the start of the run. */
  readonly step: number;
  /** Metrics over the epoch so far, in which it was stopped. */
  readonly train_accuracy: number;
  readonly images_per_second: number;
}

/** How a run is trained. */
export interface Training {
  /** Where checkpoints go; only the first of several ranks keeps them. */
  readonly directory: Pick<TrainRun, "config" | "records" | "save">;
  readonly engine: ShakeNetEngine;
  /** Connects the ranks that train together. */
  readonly link: Link | undefined;
  /** Measures the exchanges of this rank. */
  readonly traffic?: StepTraffic | undefined;
  readonly task: ClassificationTask;
  readonly reporters: readonly Reporter[];
  readonly stopping: Stopping;
  /** The moment after which no further step begins, on the clock of `performance.now`. */
  readonly deadline: number;
}

/**
 * Trains a run to its end, or until something stops it. Returns where it was stopped, undefined where its
 * last epoch is done, or its patience was over before.
 */
export async function trainRun(training: Training): Promise<Trained | undefined> {
  const { directory, task, reporters, stopping, deadline } = training;
  const { config } = directory;
  const patience = new Patience(config.patienceEpochs, await directory.records());
  if (patience.isOver) {
    stopping.because("patience");
    return undefined;
  }
  const store = {
    save: (kind: CheckpointKind, bytes: Uint8Array) => directory.save(kind, training.engine.layOut(bytes)),
  };
  const [learningRate, average] = [scheduleOf(config), averageOf(config)];
  const settings = { ...config, learningRate, average, store, signal: stopping.signal };
  let trained: Trained | undefined;
  let isStopped = false;
  for await (const told of train(trainerOf(training), task, settings)) {
    const event = withTraffic(told, training.traffic);
    for (const reporter of reporters) await reporter.report(event);
    if (event.type === "step") {
      const { step, metrics, examplesPerSecond } = event;
      trained = { step, train_accuracy: metrics.accuracy, images_per_second: examplesPerSecond };
      if (performance.now() > deadline) stopping.because("time");
    } else if (event.type === "epoch") {
      patience.count(event.record);
      if (patience.isOver) stopping.because("patience");
    } else if (event.type === "interrupted") isStopped = true;
  }
  return isStopped ? trained : undefined;
}

function trainerOf({ engine: { session }, link, stopping, traffic }: Training): Trainer | ChunkTrainer {
  if (!link) return session;
  if ("runSteps" in session) throw new TypeError("ranks take one step at a time");
  return new RankedTrainer(session, link, stopping, traffic);
}
