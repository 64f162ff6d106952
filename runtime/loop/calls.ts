import { at } from "../../graph-builder/at.ts";
import type { ChunkTrainer, Trainer } from "../session/trainer.ts";
import type { NamedTensors } from "../session/training-session.ts";
import type { StepFeeds, Task } from "./task.ts";

/** The steps that a session takes in one call. */
export interface Call {
  /** The number of the first step, counted from 0 over the whole run. */
  readonly first: number;
  /** How many examples each step has. */
  readonly examples: readonly number[];
  readonly feeds: NamedTensors;
}

/**
 * Starts to make the feeds of a call that begins with a step and ends with its epoch at the latest, and
 * before a call goes past a multiple of `stride` steps. A batch of another size is a call of its own, and so
 * is every step of a session that takes one step a call. An error waits for whoever awaits the call.
 */
export function prepareCall(
  trainer: Trainer | ChunkTrainer,
  task: Pick<Task, "feeds" | "stepsPerEpoch">,
  first: number,
  stride = Number.POSITIVE_INFINITY,
): Promise<Call> {
  const call = "runSteps" in trainer ? stackedCall(trainer, task, first, stride) : singleCall(task, first);
  call.catch(() => undefined);
  return call;
}

async function singleCall(task: Pick<Task, "feeds">, first: number): Promise<Call> {
  const { feeds, examples } = await task.feeds(first);
  return { first, examples: [examples], feeds };
}

async function stackedCall(
  trainer: ChunkTrainer,
  { feeds, stepsPerEpoch }: Pick<Task, "feeds" | "stepsPerEpoch">,
  first: number,
  stride: number,
): Promise<Call> {
  const left = [trainer.stepsPerCall, stepsPerEpoch - (first % stepsPerEpoch), stride - (first % stride)];
  const end = first + Math.min(...left);
  const steps: StepFeeds[] = [];
  for (let step = first; step < end; step++) {
    const made = await feeds(step);
    if (steps[0] && steps[0].examples !== made.examples) break;
    steps.push(made);
  }
  return {
    first,
    examples: steps.map(({ examples }) => examples),
    feeds: trainer.stack(steps.map((step) => step.feeds)),
  };
}

/** Takes the steps of a call at their learning rates. Returns the outputs, one value a step. */
export async function takeCall(
  trainer: Trainer | ChunkTrainer,
  { feeds }: Call,
  rates: readonly number[],
): Promise<NamedTensors> {
  if ("runSteps" in trainer) return trainer.runSteps(feeds, Float32Array.from(rates));
  trainer.learningRate = at(rates, 0);
  trainer.lazyResetGrad();
  const outputs = await trainer.runTrainStep(feeds);
  await trainer.runOptimizerStep();
  return outputs;
}
