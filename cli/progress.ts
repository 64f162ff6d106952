import { MultiBar, type SingleBar } from "cli-progress";
import { colors, visible } from "./terminal.ts";

/**
 * Shows the progress of a long command: a live line on a terminal, a plain line every few seconds elsewhere.
 */
export interface Progress {
  /** Shows `done` of `total` with a text. */
  update(done: number, total: number, text: string): void;
  /** Prints a permanent line. */
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
      const shown = { text: visible(text) };
      bar ??= bars.create(total, done, shown);
      bar.setTotal(total);
      bar.update(done, shown);
    },
    log(line) {
      bars.log(`${visible(line)}\n`);
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
      stream.write(`${visible(text)}\n`);
    },
    log(line) {
      last = performance.now();
      stream.write(`${visible(line)}\n`);
    },
    stop() {},
  };
}
