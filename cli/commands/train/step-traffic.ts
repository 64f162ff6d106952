import { counted } from "../../../artifacts/counted.ts";
import type { ClassificationEvent } from "../../../runtime/index.ts";
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

/** What the exchanges of this rank cost in the steps of an epoch, in its line of metrics.jsonl. */
export interface EpochTraffic {
  /** The seconds in which gradients were exchanged. */
  readonly gradients_seconds: number;
  /** The seconds in other exchanges, in which the rank mostly waits for slower ones. */
  readonly waiting_seconds: number;
  readonly bytes_sent: number;
}

const noTraffic: EpochTraffic = { gradients_seconds: 0, waiting_seconds: 0, bytes_sent: 0 };

/** The field of an epoch's traffic that has the seconds of a purpose. */
const secondsOf = { gradients: "gradients_seconds", messages: "waiting_seconds" } as const;

/** Measures the exchanges of a rank, step by step. */
export class StepTraffic {
  readonly #link: Pick<MpiLink, "traffic" | "size" | "place">;
  readonly #seconds = { gradients: 0, messages: 0, steps: 0 };
  #epoch = noTraffic;
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
    const [time, bytes] = [seconds - this.#last.seconds, bytesSent - this.#last.bytesSent];
    if (this.#steps > 0) {
      this.#seconds[purpose] += time;
      this.#bytes += bytes;
    }
    const field = secondsOf[purpose];
    const { [field]: before, bytes_sent } = this.#epoch;
    this.#epoch = { ...this.#epoch, [field]: before + time, bytes_sent: bytes_sent + bytes };
    this.#last = { bytesSent, seconds };
  }

  /** What the steps since the last call have cost, the first step of the run too. */
  takeEpoch(): EpochTraffic {
    const taken = this.#epoch;
    this.#epoch = noTraffic;
    return taken;
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

/** The event; the record of an epoch gets the seconds and the bytes of the rank's exchanges. */
export function withTraffic(
  event: ClassificationEvent,
  traffic: StepTraffic | undefined,
): ClassificationEvent {
  if (event.type !== "epoch" || !traffic) return event;
  return { ...event, record: { ...event.record, ...traffic.takeEpoch() } };
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
