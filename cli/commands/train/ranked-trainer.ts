import type { AverageStep, NamedTensors, Trainer } from "../../../runtime/index.ts";
import { gather, type Link } from "../../../runtime/replicas/ranks.ts";
import type { Stopping, StopReason } from "./stopping.ts";

/** The reasons for which a rank may want to end the run, the strongest first, as the numbers that are sent. */
const reasons: readonly StopReason[] = ["signal", "time"];

/** A trainer whose ranks agree after every step whether the run ends. */
export class RankedTrainer implements Trainer {
  readonly #trainer: Trainer;
  readonly #link: Link;
  readonly #stopping: Stopping;

  constructor(trainer: Trainer, link: Link, stopping: Stopping) {
    this.#trainer = trainer;
    this.#link = link;
    this.#stopping = stopping;
  }

  get learningRate(): number {
    return this.#trainer.learningRate;
  }

  set learningRate(rate: number) {
    this.#trainer.learningRate = rate;
  }

  lazyResetGrad(): void {
    this.#trainer.lazyResetGrad();
  }

  runTrainStep(feeds: NamedTensors, fetches?: readonly string[]): Promise<NamedTensors> {
    return this.#trainer.runTrainStep(feeds, fetches);
  }

  async runOptimizerStep(): Promise<void> {
    await this.#trainer.runOptimizerStep();
    const { wanted } = this.#stopping;
    const own = Buffer.of(wanted === undefined ? reasons.length : reasons.indexOf(wanted));
    const strongest = Math.min(
      ...(await gather(this.#link, own)).map(([reason]) => reason ?? reasons.length),
    );
    const agreed = reasons[strongest];
    if (agreed !== undefined) this.#stopping.agree(agreed);
  }

  averageWeights(step: AverageStep): void | Promise<void> {
    return this.#trainer.averageWeights(step);
  }

  checkpoint(): ReturnType<Trainer["checkpoint"]> {
    return this.#trainer.checkpoint();
  }
}
