/** The element with an id. Throws Error where the page has no element with that id and type. */
export function find<T extends HTMLElement>(id: string, type: new () => T): T {
  const element = document.getElementById(id);
  if (element instanceof type) return element;
  throw new Error(`the page has no ${type.name} #${id}`);
}

/** A new element with a class and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  element.className = className;
  element.append(...children);
  return element;
}

/** Fills a description list with terms and values. A term without a value is left out. */
export function showFacts(list: HTMLElement, facts: Readonly<Record<string, string | undefined>>): void {
  const known = Object.entries(facts).filter((entry): entry is [string, string] => entry[1] !== undefined);
  list.replaceChildren(
    ...known.map(([term, value]) => make("div", "", make("dt", "", term), make("dd", "", value))),
  );
}
