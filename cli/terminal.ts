import picocolors from "picocolors";

/** Colours for a stream: none where it is not a terminal or NO_COLOR is set. */
export function colors(stream: NodeJS.WriteStream): ReturnType<typeof picocolors.createColors> {
  return picocolors.createColors(stream.isTTY === true && !process.env["NO_COLOR"]);
}

/**
 * Characters that a terminal obeys in place of showing them: controls (C0, DEL, C1), and those that change
 * the direction of the text.
 */
const controls = /[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A text with its control characters as JSON writes them, such as `\u001b`; line ends stay. */
export function visible(text: string): string {
  return text.replace(controls, (control) => (control === "\n" ? control : escaped(control)));
}

/** The same with line ends too, for a name that is a part of a line. */
export function visibleName(text: string): string {
  return text.replace(controls, escaped);
}

function escaped(control: string): string {
  return `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`;
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
