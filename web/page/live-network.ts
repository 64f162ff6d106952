import { at } from "../../graph-builder/at.ts";
import type { TrainingStep } from "../calls/training.ts";
import { blockName } from "./block-name.ts";
import { find, make } from "./dom.ts";
import { setColumns } from "./network-picture.ts";

interface LiveBlock {
  readonly item: HTMLLIElement;
  readonly text: HTMLElement;
}

/**
 * The blocks of the network that trains. Each shows alpha and beta of the step just taken for the first
 * picture of the batch, and alpha of all its pictures as dots.
 */
export class LiveNetwork {
  readonly #list = find("live-blocks", HTMLOListElement);
  #blocks: LiveBlock[] = [];
  #next: TrainingStep | undefined;

  clear(): void {
    this.#next = undefined;
    find("live-card", HTMLElement).hidden = true;
  }

  /** Shows a step, at most one a frame. */
  show(step: TrainingStep): void {
    const isDrawing = this.#next !== undefined;
    this.#next = step;
    if (isDrawing) return;
    requestAnimationFrame(() => {
      if (this.#next) this.#draw(this.#next);
      this.#next = undefined;
    });
  }

  #draw({ alpha, beta, blocks }: TrainingStep): void {
    find("live-card", HTMLElement).hidden = false;
    if (this.#blocks.length !== blocks) {
      this.#blocks = Array.from({ length: blocks }, (_, i) => makeBlock(i, blocks));
      this.#list.replaceChildren(...this.#blocks.map(({ item }) => item));
      setColumns(this.#list, blocks);
    }
    const batch = alpha.length / blocks;
    for (const [i, { item, text }] of this.#blocks.entries()) {
      const [forward, backward] = [at(alpha, i * batch), at(beta, i * batch)];
      item.style.setProperty("--alpha", String(forward));
      item.style.setProperty("--beta", String(backward));
      const [branch1, branch2] = item.querySelectorAll("svg text");
      if (branch1) branch1.textContent = forward.toFixed(2);
      if (branch2) branch2.textContent = (1 - forward).toFixed(2);
      text.textContent = `alpha ${forward.toFixed(2)}, beta ${backward.toFixed(2)}`;
    }
  }
}

function makeBlock(index: number, count: number): LiveBlock {
  const content = document.importNode(find("block", HTMLTemplateElement).content, true);
  const item = content.querySelector("li");
  const label = item?.querySelector("label");
  if (!item || !label) throw new Error("the template of a block has no label");
  const text = make("span", "numbers");
  const backward = make("span", "split");
  backward.setAttribute("aria-hidden", "true");
  label.replaceWith(make("p", "block-name", blockName(index, count)), backward, text);
  return { item, text };
}
