import { MultiBar, type SingleBar } from "cli-progress";
import { visible } from "../graph-builder/visible.ts";
import { colors, staysQuiet } from "./terminal.ts";

/** A line, or the same line at several lengths, the longest first: the first one that fits is shown. */
export type Line = string | readonly string[];

/**
 * Shows the progress of a long command: a live line on a terminal, a plain line every few seconds elsewhere.
 * Lines fit the columns of the terminal, and 80 elsewhere.
 */
export interface Progress {
  /** Shows `done` of `total` with a text. */
  update(done: number, total: number, text: Line): void;
  /** Prints a permanent line. One of a single length is never cut. */
  log(line: Line): void;
  /** Ends the live line. */
  stop(): void;
}

const PLAIN_INTERVAL_MS = 10_000;

/** The columns of a line where nothing says how many there are. */
const COLUMNS = 80;

/** The lengths of the bar of a live line; there is none where less is left. */
const [LONGEST_BAR, SHORTEST_BAR] = [20, 5];

/** A line of 60 columns and more leaves room for a bar of 10. */
const [WIDE, USUAL_BAR] = [60, 10];

/** A stream that lines are written to, with what is known of it where it is a terminal. */
type LineStream = NodeJS.WritableStream & {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
};

/** A progress display on standard error; none in a rank that stays quiet. */
export function openProgress(stream: LineStream = process.stderr): Progress {
  if (staysQuiet()) return { update() {}, log() {}, stop() {} };
  return stream.isTTY ? liveProgress(stream) : plainProgress(stream);
}

/** The longest of a line's texts that fits, else the shortest one. */
export function fitting(line: Line, columns: number): string {
  const texts = typeof line === "string" ? [line] : line;
  return texts.find(({ length }) => length <= columns) ?? texts.at(-1) ?? "";
}

/**
 * A live line that fits: a bar of the share that is done in the room that the text leaves, and the text,
 * which is cut where even its shortest form is too long. `paint` colours the bar.
 */
export function liveLine(
  share: number,
  text: Line,
  columns: number,
  paint: (bar: string) => string = (bar) => bar,
): string {
  const fit = fitting(text, columns < WIDE ? columns : columns - USUAL_BAR - 1);
  const shown = fit.length <= columns ? fit : `${fit.slice(0, Math.max(0, columns - 1))}…`;
  const room = Math.min(LONGEST_BAR, columns - shown.length - 1);
  if (room < SHORTEST_BAR) return shown;
  const full = Math.round(Math.min(1, Math.max(0, share)) * room);
  return `${paint("━".repeat(full) + "╌".repeat(room - full))} ${shown}`;
}

function visibleLine(line: Line): Line {
  return typeof line === "string" ? visible(line) : line.map(visible);
}

/** Makes a terminal break lines that are too long. */
const WRAP = "\u001b[?7h";

function liveProgress(stream: LineStream): Progress {
  const { cyan } = colors(stream);
  // the last column stays free: some terminals wrap a line that fills it
  const columns = () => (stream.columns || COLUMNS) - 1;
  let text: Line = "";
  let shown: { readonly bars: MultiBar; readonly bar: SingleBar } | undefined;
  const show = (total: number, done: number) => {
    const bars = new MultiBar({
      stream,
      format: (_options, { progress }) => liveLine(progress, text, columns(), cyan),
      clearOnComplete: true,
      gracefulExit: false,
      // a permanent line is printed in its place
      forceRedraw: true,
    });
    const bar = bars.create(total, done);
    // cli-progress has the terminal cut long lines, which it would still do after Ctrl-C; these lines fit
    stream.write(WRAP);
    return { bars, bar };
  };
  return {
    update(done, total, line) {
      text = visibleLine(line);
      shown ??= show(total, done);
      shown.bar.setTotal(total);
      shown.bar.update(done);
    },
    log(line) {
      const permanent = fitting(visibleLine(line), columns());
      shown?.bars.log(`${permanent}\n`);
      if (shown) shown.bars.update();
      else stream.write(`${permanent}\n`);
    },
    stop() {
      shown?.bars.stop();
      shown = undefined;
    },
  };
}

function plainProgress(stream: LineStream): Progress {
  let last = performance.now();
  const write = (line: Line) => {
    last = performance.now();
    stream.write(`${fitting(visibleLine(line), COLUMNS)}\n`);
  };
  return {
    update(_done, _total, text) {
      if (performance.now() - last >= PLAIN_INTERVAL_MS) write(text);
    },
    log: write,
    stop() {},
  };
}
