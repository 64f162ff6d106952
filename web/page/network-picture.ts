import { blockName } from "./block-name.ts";
import { find } from "./dom.ts";

interface Block {
  readonly item: HTMLLIElement;
  readonly slider: HTMLInputElement;
}

/** The network as a row of blocks. The thickness of a branch shows its weight; a slider sets it. */
export class NetworkPicture {
  readonly #list = find("blocks", HTMLOListElement);
  readonly #template = find("block", HTMLTemplateElement);
  readonly #all = find("alpha-all", HTMLInputElement);
  readonly #onChange: (alphas: Float32Array) => void;
  #blocks: Block[] = [];

  constructor(onChange: (alphas: Float32Array) => void) {
    this.#onChange = onChange;
    this.#all.addEventListener("input", () => this.#setAll(this.#all.value));
    find("even", HTMLButtonElement).addEventListener("click", () => this.#setAll("0.5"));
  }

  /** The weight of branch 1 in each block. */
  get alphas(): Float32Array {
    return Float32Array.from(this.#blocks, ({ slider }) => Number(slider.value));
  }

  /** Shows a network of `count` blocks in three stages. All weights are 0.5. */
  setBlocks(count: number): void {
    this.#blocks = Array.from({ length: count }, (_, i) => this.#makeBlock(i, count));
    this.#list.replaceChildren(...this.#blocks.map(({ item }) => item));
    setColumns(this.#list, count);
    this.#all.value = "0.5";
    this.#showAll();
  }

  #setAll(value: string): void {
    this.#all.value = value;
    for (const block of this.#blocks) {
      block.slider.value = value;
      showWeights(block);
    }
    this.#showAll();
    this.#onChange(this.alphas);
  }

  /** Shows the weight of all blocks, or "mixed" where they differ. */
  #showAll(): void {
    const [first = "0.5", ...others] = new Set(this.#blocks.map(({ slider }) => slider.value));
    const text = others.length > 0 ? "mixed" : Number(first).toFixed(2);
    find("alpha-all-value", HTMLOutputElement).value = text;
  }

  #makeBlock(index: number, count: number): Block {
    const content = document.importNode(this.#template.content, true);
    const item = content.querySelector("li");
    const slider = content.querySelector("input");
    if (!item || !slider) throw new Error("the template of a block has no slider");
    const label = item.querySelector("label span");
    if (label) label.textContent = blockName(index, count);
    const block = { item, slider };
    slider.addEventListener("input", () => {
      showWeights(block);
      this.#showAll();
      this.#onChange(this.alphas);
    });
    showWeights(block);
    return block;
  }
}

/**
 * Sets how many blocks a list has side by side: all of them, or those of a stage, so that a row always ends
 * where a stage does.
 */
export function setColumns(list: HTMLElement, count: number): void {
  const perStage = count / 3;
  const fitting = (most: number) => (count <= most ? count : Math.min(perStage, most));
  list.style.setProperty("--count", String(count));
  list.style.setProperty("--narrow", String(fitting(4)));
  list.style.setProperty("--medium", String(fitting(6)));
  list.style.setProperty("--wide", String(fitting(12)));
}

function showWeights({ item, slider }: Block): void {
  const alpha = Number(slider.value);
  item.style.setProperty("--alpha", slider.value);
  slider.setAttribute("aria-valuetext", `alpha ${alpha.toFixed(2)}`);
  const [branch1, branch2] = item.querySelectorAll("text");
  if (branch1) branch1.textContent = alpha.toFixed(2);
  if (branch2) branch2.textContent = (1 - alpha).toFixed(2);
}
