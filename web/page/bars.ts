import { at } from "../../graph-builder/at.ts";
import { make } from "./dom.ts";

const SHOWN = 10;

interface Row {
  readonly item: HTMLLIElement;
  readonly name: HTMLSpanElement;
  readonly fill: HTMLDivElement;
  readonly marks: HTMLCanvasElement;
  readonly value: HTMLSpanElement;
}

/** The most probable class. */
export interface Best {
  readonly index: number;
  readonly name: string;
  readonly probability: number;
}

/** Ten bars: every class in the order of the model, or the ten most probable ones of more classes. */
export class Bars {
  readonly #rows: Row[];
  #shown: readonly number[] = [];

  constructor(list: HTMLElement) {
    this.#rows = Array.from({ length: SHOWN }, makeRow);
    list.replaceChildren(...this.#rows.map(({ item }) => item));
  }

  /** Shows the probabilities of all classes. Returns the most probable class. */
  show(probabilities: Float32Array, classNames: readonly string[]): Best {
    const best = bestOf(probabilities, classNames);
    const indices = [...probabilities.keys()];
    const byProbability = indices.toSorted((a, b) => at(probabilities, b) - at(probabilities, a));
    this.#shown = probabilities.length > SHOWN ? byProbability.slice(0, SHOWN) : indices;
    for (const [i, { item, name, fill, value }] of this.#rows.entries()) {
      const index = this.#shown[i];
      item.hidden = index === undefined;
      if (index === undefined) continue;
      const probability = at(probabilities, index);
      item.classList.toggle("best", index === best.index);
      name.textContent = className(classNames, index);
      fill.style.transform = `scaleX(${probability})`;
      value.textContent = percent(probability);
    }
    return best;
  }

  /**
   * Draws a mark on each bar for the probability of its class in every draw; probabilities [draws,
   * classes].
   */
  mark(draws: readonly Float32Array[]): void {
    for (const [i, { marks }] of this.#rows.entries()) {
      const index = this.#shown[i];
      const { clientWidth: width, clientHeight: height } = marks;
      marks.width = width;
      marks.height = height;
      const context = marks.getContext("2d");
      if (!context || index === undefined) continue;
      context.fillStyle = getComputedStyle(marks).color;
      context.globalAlpha = 0.35;
      for (const draw of draws) context.fillRect(at(draw, index) * (width - 2), 0, 2, height);
    }
  }
}

/** The most probable class. */
export function bestOf(probabilities: Float32Array, classNames: readonly string[]): Best {
  const probability = probabilities.reduce((a, b) => Math.max(a, b), 0);
  const index = probabilities.indexOf(probability);
  return { index, name: className(classNames, index), probability };
}

/** The name of a class, or its number where the model has no names. */
export function className(classNames: readonly string[], index: number): string {
  return classNames[index]?.replaceAll("_", " ") ?? `class ${index}`;
}

/** A share as percent, with a space at which no line breaks. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)}\u00a0%`;
}

function makeRow(): Row {
  const name = make("span", "name");
  const fill = make("div", "fill");
  const marks = make("canvas", "marks");
  marks.setAttribute("aria-hidden", "true");
  const value = make("span", "value");
  const item = make("li", "", name, make("div", "track", fill, marks), value);
  return { item, name, fill, marks, value };
}
