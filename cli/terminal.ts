import picocolors from "picocolors";
import { visible } from "../graph-builder/visible.ts";

/** Colours for a stream: none where it is not a terminal or NO_COLOR is set. */
export function colors(stream: {
  readonly isTTY?: boolean | undefined;
}): ReturnType<typeof picocolors.createColors> {
  return picocolors.createColors(stream.isTTY === true && !process.env["NO_COLOR"]);
}

let isQuiet = false;

/** Keeps this process from printing anything but failures: of several ranks, one speaks. */
export function beQuiet(): void {
  isQuiet = true;
}

/** Whether this process prints nothing but failures. */
export function staysQuiet(): boolean {
  return isQuiet;
}

/** Prints a text with a line end on standard output. Control characters are escaped. */
export function print(text: string): void {
  if (isQuiet) return;
  process.stdout.write(`${visible(text)}\n`);
}

/** Prints a text with a line end on standard error. Control characters are escaped. */
export function say(text: string): void {
  if (isQuiet) return;
  process.stderr.write(`${visible(text)}\n`);
}

/** Prints a failure on standard error: one sentence, or a stack. Control characters are escaped. */
export function sayFailure(text: string): void {
  process.stderr.write(`${colors(process.stderr).red("shake:")} ${visible(text)}\n`);
}
