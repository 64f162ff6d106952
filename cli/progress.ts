import { MultiBar, type SingleBar } from "cli-progress";
import type { ClassificationEvent } from "../runtime/index.ts";
import { colors } from "./terminal.ts";

type StepEvent = Extract<ClassificationEvent, { type: "step" }>;

/** Shows how a long command gets on: a live line on a terminal, a plain line every few seconds elsewhere. */
export interface Progress {
  /** What is being done, how far it is, and what there is to say of it. */
  update(done: number, total: number, text: string): void;
  /** A line that stays. */
  log(line: string): void;
  /** Ends the live line. */
  stop(): void;
}

const PLAIN_INTERVAL_MS = 10_000;

/** A progress display on standard error. */
export function openProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  return stream.isTTY ? liveProgress(stream) : plainProgress(stream);
}

function liveProgress(stream: NodeJS.WriteStream): Progress {
  const { cyan } = colors(stream);
  const bars = new MultiBar({
    stream,
    format: `${cyan("{bar}")} {text}`,
    barCompleteChar: "━",
    barIncompleteChar: "╌",
    barsize: 20,
    hideCursor: true,
    clearOnComplete: true,
    gracefulExit: false,
  });
  let bar: SingleBar | undefined;
  return {
    update(done, total, text) {
      bar ??= bars.create(total, done, { text });
      bar.setTotal(total);
      bar.update(done, { text });
    },
    log(line) {
      bars.log(`${line}\n`);
      bars.update();
    },
    stop() {
      bars.stop();
      bar = undefined;
    },
  };
}

function plainProgress(stream: NodeJS.WriteStream): Progress {
  let last = performance.now();
  return {
    update(_done, _total, text) {
      if (performance.now() - last < PLAIN_INTERVAL_MS) return;
      last = performance.now();
      stream.write(`${text}\n`);
    },
    log(line) {
      last = performance.now();
      stream.write(`${line}\n`);
    },
    stop() {},
  };
}

/** A training step in a line: epoch, step, loss, accuracy, images a second, learning rate and time left. */
export function describeStep(event: StepEvent, epochs: number): string {
  return [
    `epoch ${event.epoch}/${epochs}`,
    `step ${event.step}/${event.steps}`,
    `loss ${event.metrics.loss.toFixed(3)}`,
    `${event.metrics.accuracy.toFixed(1)} %`,
    `${formatRate(event.examplesPerSecond)} images/s`,
    `lr ${event.learningRate.toPrecision(3)}`,
    `${formatSeconds(event.secondsLeft)} left`,
  ].join("  ");
}

/** Images a second, with a decimal where there are few. */
export function formatRate(rate: number): string {
  return rate < 10 ? rate.toFixed(1) : rate.toFixed(0);
}

/** A time as people say it: 42 s, 3 min 05 s, 2 h 14 min. */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}
