import { expect } from "vitest";
import {
  type CheckpointKind,
  type ChunkTrainer,
  DivergedError,
  type EpochRecord,
  type Task,
  type Trainer,
  type TrainingEvent,
  type TrainSettings,
  train,
} from "../../runtime/index.ts";

/** A run that saves its checkpoints in memory. */
export interface TestRun<Train extends string, Test extends string, Unit extends string> {
  readonly session: Trainer | ChunkTrainer;
  readonly task: Task<Train, Test, Unit>;
  readonly settings: TrainSettings;
  readonly saved: Map<CheckpointKind, Uint8Array>;
}

/** A checkpoint store in memory. */
export function memoryStore() {
  const saved = new Map<CheckpointKind, Uint8Array>();
  const save = async (kind: CheckpointKind, bytes: Uint8Array) => {
    saved.set(kind, bytes);
  };
  return { saved, store: { save } };
}

/** Starts a run. Returns its events. */
export function eventsOf<Train extends string, Test extends string, Unit extends string>({
  session,
  task,
  settings,
}: TestRun<Train, Test, Unit>): AsyncGenerator<TrainingEvent<Train, Test, Unit>> {
  return train(session, task, settings);
}

/** Trains a run to its end. Returns all events. */
export async function collect<Train extends string, Test extends string, Unit extends string>(
  run: TestRun<Train, Test, Unit>,
): Promise<TrainingEvent<Train, Test, Unit>[]> {
  const events: TrainingEvent<Train, Test, Unit>[] = [];
  for await (const event of eventsOf(run)) events.push(event);
  return events;
}

/** The records of the epochs, without the fields that depend on time. */
export function untimedRecords(events: readonly TrainingEvent[]): Partial<EpochRecord>[] {
  return events
    .filter((event) => event.type === "epoch")
    .map(({ record }) => {
      const isTimed = (name: string) => name === "seconds" || name.endsWith("_per_second");
      return Object.fromEntries(Object.entries(record).filter(([name]) => !isTimed(name)));
    });
}

/**
 * Cuts a run after each of its steps and resumes it from its last checkpoint. Expects the last checkpoint
 * and the remaining epoch records of the uncut run.
 */
export async function expectSameEndWhereverCut<
  Train extends string,
  Test extends string,
  Unit extends string,
>(open: (checkpoint?: Uint8Array) => Promise<TestRun<Train, Test, Unit>>, steps: number): Promise<void> {
  const whole = await open();
  const records = untimedRecords(await collect(whole));
  expect(whole.saved.has("last")).toBe(true);
  for (let cut = 0; cut <= steps; cut++) {
    const first = await open();
    for await (const event of eventsOf(first)) if (event.type === "step" && event.step > cut) break;
    const second = await open(first.saved.get("last"));
    const rest = untimedRecords(await collect(second));
    expect(second.saved.get("last"), `cut after step ${cut}`).toEqual(whole.saved.get("last"));
    expect(rest).toEqual(records.slice(records.length - rest.length));
  }
}

/** The DivergedError of a run. Throws Error where the run does not diverge. */
export async function divergenceOf<Train extends string, Test extends string, Unit extends string>(
  run: TestRun<Train, Test, Unit>,
): Promise<DivergedError> {
  const error = await collect(run).catch((reason: unknown) => reason);
  if (error instanceof DivergedError) return error;
  throw new Error("the run did not diverge", { cause: error });
}
