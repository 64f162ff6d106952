import type { AverageStep, NamedTensors, Trainer } from "../../../runtime/index.ts";
import { gather, type Link } from "../../../runtime/replicas/ranks.ts";
import type { StepTraffic } from "./step-traffic.ts";
import type { Stopping, StopReason } from "./stopping.ts";

/**
 * The reasons for which a rank may want to end the run, the strongest first, as the numbers that are sent.
 */
const reasons: readonly StopReason[] = ["signal", "time"];

/** A trainer whose ranks agree after every step whether the run ends. */
export class RankedTrainer implements Trainer {
  readonly #trainer: Trainer;
  readonly #link: Link;
  readonly #stopping: Stopping;
  readonly #traffic: StepTraffic | undefined;

  /** Counts the exchanges of each step in `traffic`, where it is given. */
  constructor(trainer: Trainer, link: Link, stopping: Stopping, traffic?: StepTraffic) {
    this.#trainer = trainer;
    this.#link = link;
    this.#stopping = stopping;
    this.#traffic = traffic;
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

  async runTrainStep(feeds: NamedTensors, fetches?: readonly string[]): Promise<NamedTensors> {
    this.#traffic?.start();
    const outputs = await this.#trainer.runTrainStep(feeds, fetches);
    this.#traffic?.count("messages");
    return outputs;
  }

  async runOptimizerStep(): Promise<void> {
    await this.#trainer.runOptimizerStep();
    this.#traffic?.count("gradients");
    const { wanted } = this.#stopping;
    const own = Buffer.of(wanted === undefined ? reasons.length : reasons.indexOf(wanted));
    const strongest = Math.min(
      ...(await gather(this.#link, own)).map(([reason]) => reason ?? reasons.length),
    );
    this.#traffic?.count("messages");
    this.#traffic?.end();
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
