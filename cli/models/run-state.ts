import { stat } from "node:fs/promises";
import type { ClassificationRecord } from "../../runtime/index.ts";
import { finishedRun } from "../../runtime/node/run/run-directory.ts";
import type { AnyRun } from "./any-run.ts";

/**
 * Where a run stands: a process trains it; it diverged; it came to its end, and its model was exported; or it
 * was stopped before.
 */
export type RunState = "running" | "diverged" | "finished" | "stopped";

/** The state of a run with its records. */
export async function runStateOf(run: AnyRun, records: readonly ClassificationRecord[]): Promise<RunState> {
  if (await run.isLocked()) return "running";
  const last = records.at(-1);
  const isSound = last === undefined || [last.train_loss, last.test_loss].every(Number.isFinite);
  if (!isSound || (await run.isDiverged())) return "diverged";
  const ended = await finishedRun(run.path);
  if (!ended) return "stopped";
  if (last && last.epoch >= run.config.epochs) return "finished";
  // a run that was ended early exports its model after its last checkpoint; one that goes on has a later one
  const [exported, saved] = await Promise.all([ended.model, ended.checkpoint].map((file) => stat(file)));
  return exported && saved && exported.mtimeMs >= saved.mtimeMs ? "finished" : "stopped";
}
