import { counted } from "../../../artifacts/counted.ts";
import type { MpiLink, Traffic } from "../../../runtime/node/index.ts";
import { formatLarge, formatShortTime } from "../../format.ts";

/** What the exchanges of a step do: they add up gradients, or pass the step's loss and the wish to stop. */
type Purpose = "gradients" | "messages";

/** What the exchanges of this rank cost in the steps of a run. */
export interface Communication {
  readonly ranks: number;
  readonly hosts: number;
  /** The steps that were measured: all but the first. */
  readonly steps: number;
  readonly seconds_per_step: number;
  readonly bytes_sent_per_step: number;
  /** The share of a step's time in which gradients are exchanged. */
  readonly gradients_share: number;
  /** The share in other exchanges. The first of a step waits until the slowest rank has computed. */
  readonly waiting_share: number;
}

/** Measures the exchanges of a rank, step by step. */
export class StepTraffic {
  readonly #link: Pick<MpiLink, "traffic" | "size" | "place">;
  readonly #seconds = { gradients: 0, messages: 0, steps: 0 };
  #bytes = 0;
  #steps = 0;
  #start = 0;
  #last: Traffic = { bytesSent: 0, seconds: 0 };

  constructor(link: Pick<MpiLink, "traffic" | "size" | "place">) {
    this.#link = link;
  }

  /** Starts to measure a step. */
  start(): void {
    this.#start = performance.now();
    this.#last = { ...this.#link.traffic };
  }

  /** Counts the exchanges since the start, or since the last call, for a purpose. */
  count(purpose: Purpose): void {
    const { bytesSent, seconds } = this.#link.traffic;
    if (this.#steps > 0) {
      this.#seconds[purpose] += seconds - this.#last.seconds;
      this.#bytes += bytesSent - this.#last.bytesSent;
    }
    this.#last = { bytesSent, seconds };
  }

  /** Ends a step. The first one, in which memory is taken and code is compiled, is left out. */
  end(): void {
    if (this.#steps > 0) this.#seconds.steps += (performance.now() - this.#start) / 1000;
    this.#steps++;
  }

  /** What the steps so far have cost; undefined before the second one. */
  get result(): Communication | undefined {
    const steps = this.#steps - 1;
    if (steps < 1) return undefined;
    const { gradients, messages, steps: seconds } = this.#seconds;
    return {
      ranks: this.#link.size,
      hosts: this.#link.place.hosts,
      steps,
      seconds_per_step: seconds / steps,
      bytes_sent_per_step: this.#bytes / steps,
      gradients_share: gradients / seconds,
      waiting_share: messages / seconds,
    };
  }
}

/** The line of a finished run about its exchanges. */
export function describeCommunication(found: Communication): string {
  const { ranks, hosts, seconds_per_step, bytes_sent_per_step, gradients_share, waiting_share } = found;
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  return [
    `${counted(ranks, "rank")} on ${counted(hosts, "host")}: a step of rank 0 took ${formatShortTime(seconds_per_step)}`,
    `sent ${formatLarge(bytes_sent_per_step)}B`,
    `exchanged gradients for ${percent(gradients_share)} of its time`,
    `and waited for other ranks for ${percent(waiting_share)}`,
  ].join(", ");
}
