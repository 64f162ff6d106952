import { UserError } from "../../graph-builder/errors.ts";

/** How a run diverged. */
export interface Divergence {
  /** The step that failed, counted from 1. */
  readonly step: number;
  /** The rate of that step. */
  readonly learningRate: number;
  /** The step of the last checkpoint, counted from 1; undefined where there is none. */
  readonly savedStep: number | undefined;
  /** What is not finite, as a clause: `the loss is NaN`. */
  readonly reason: string;
}

/** A metric or a parameter is no longer finite. */
export class DivergedError extends UserError implements Divergence {
  readonly step: number;
  readonly learningRate: number;
  readonly savedStep: number | undefined;
  readonly reason: string;

  constructor({ step, learningRate, savedStep, reason }: Divergence) {
    const kept = savedStep === undefined ? "" : ` The checkpoint of step ${savedStep} is kept.`;
    super(
      `The run diverged at step ${step}, at a learning rate of ${learningRate.toPrecision(3)}: ${reason}. ` +
        `A smaller learning rate may help.${kept}`,
      { code: "diverged", details: { step, learningRate, savedStep, reason } },
    );
    this.step = step;
    this.learningRate = learningRate;
    this.savedStep = savedStep;
    this.reason = reason;
  }
}
