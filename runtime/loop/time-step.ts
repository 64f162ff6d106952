import type { ChunkTrainer, Trainer } from "../session/trainer.ts";
import { prepareCall, takeCall } from "./calls.ts";
import type { Task } from "./task.ts";

/** A measured step. */
export interface TimedStep {
  readonly seconds: number;
  readonly examples: number;
}

/**
 * Takes steps as `train` does and measures one: after a first call, which warms up the kernels, it times a
 * second one while the feeds of the next are made. A session that takes several steps a call is timed by the
 * call. The trainer's weights change.
 */
export async function timeStep(
  trainer: Trainer | ChunkTrainer,
  task: Pick<Task, "feeds" | "stepsPerEpoch">,
  first: number,
  learningRate: number,
): Promise<TimedStep> {
  const call = await prepareCall(trainer, task, first);
  const rates = call.examples.map(() => learningRate);
  await takeCall(trainer, call, rates);
  const again = await prepareCall(trainer, task, first);
  const start = performance.now();
  const running = takeCall(trainer, again, rates);
  const next = prepareCall(trainer, task, first);
  await running;
  await next;
  const examples = again.examples.reduce((sum, count) => sum + count, 0) / rates.length;
  return { seconds: (performance.now() - start) / 1000 / rates.length, examples };
}
