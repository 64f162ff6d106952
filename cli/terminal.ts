import picocolors from "picocolors";
import { visible } from "../graph-builder/visible.ts";

/** Colours for a stream: none where it is not a terminal or NO_COLOR is set. */
export function colors(stream: NodeJS.WriteStream): ReturnType<typeof picocolors.createColors> {
  return picocolors.createColors(stream.isTTY === true && !process.env["NO_COLOR"]);
}

/** Prints a text with a line end on standard output. Control characters are escaped. */
export function print(text: string): void {
  process.stdout.write(`${visible(text)}\n`);
}

/** Prints a text with a line end on standard error. Control characters are escaped. */
export function say(text: string): void {
  process.stderr.write(`${visible(text)}\n`);
}

/** Prints a failure on standard error: one sentence, or a stack. Control characters are escaped. */
export function sayFailure(text: string): void {
  process.stderr.write(`${colors(process.stderr).red("shake:")} ${visible(text)}\n`);
}
