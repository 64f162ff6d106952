import { visibleName } from "../../graph-builder/visible.ts";

/** A piece of HTML or SVG that is safe to put into a page. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What a template takes: text, which is escaped, and pieces of HTML, which are not. */
export type HtmlValue = Html | string | number | undefined | readonly HtmlValue[];

/** A piece of HTML. Every text that is filled in is escaped; undefined is nothing, a list is its entries. */
export function html(strings: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return new Html(strings.map((part, i) => (i === 0 ? part : `${textOf(values[i - 1])}${part}`)).join(""));
}

function textOf(value: HtmlValue): string {
  if (value === undefined) return "";
  if (value instanceof Html) return value.text;
  if (typeof value === "string" || typeof value === "number") return escaped(String(value));
  return value.map(textOf).join("");
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** A text inside HTML or XML. Control characters are shown as JSON writes them. */
function escaped(text: string): string {
  return visibleName(text).replace(/[&<>"']/g, (character) => entities[character] ?? character);
}
