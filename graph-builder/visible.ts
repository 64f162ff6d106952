/**
 * Characters that a terminal obeys in place of showing them: controls (C0, DEL, C1), line and paragraph
 * separators, and those that change the direction of the text.
 */
const controls = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** A text with its control characters as JSON writes them, such as `\u001b`; line ends stay. */
export function visible(text: string): string {
  return text.replace(controls, (control) => (control === "\n" ? control : escaped(control)));
}

/** The same with line ends too, for what is a part of a line: a name from a file, or a sentence with one. */
export function visibleName(text: string): string {
  return text.replace(controls, escaped);
}

function escaped(control: string): string {
  return `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** How many elements of a list a sentence shows. */
const SHOWN = 4;

/** A value as a sentence shows it: a text in quotes, a list by its first elements, an object as one. */
export function shown(value: unknown): string {
  if (typeof value === "string") return `"${value}"`;
  if (Array.isArray(value)) {
    const elements = value.slice(0, SHOWN).map((each) => (Array.isArray(each) ? "a list" : shown(each)));
    return `[${[...elements, ...(value.length > SHOWN ? ["..."] : [])].join(", ")}]`;
  }
  if (typeof value === "function") return "a function";
  return typeof value === "object" && value !== null ? "an object" : String(value);
}
