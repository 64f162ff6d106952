import type { Examples, ModelInfo, PictureForm } from "../calls/model.ts";
import { bestOf } from "./bars.ts";
import { find, make } from "./dom.ts";
import type { Page } from "./page.ts";
import { imagesOf } from "./picture-batches.ts";
import { type Picture, thumbnail } from "./pictures.ts";

/** How many pictures the step has. */
const BATCH = 10;

/** One step of training on the pictures of the page, with alpha drawn for the batch or for each picture. */
export class ShakeStep {
  readonly #page: Page;
  readonly #list = find("step-pictures", HTMLUListElement);
  readonly #text = find("step-text", HTMLParagraphElement);

  constructor(page: Page) {
    this.#page = page;
    const draw = () => void page.messages.guard(() => this.#draw());
    find("draw-step", HTMLButtonElement).addEventListener("click", draw);
    find("step-level", HTMLFieldSetElement).addEventListener("change", draw);
  }

  clear(): void {
    this.#list.replaceChildren();
    this.#text.textContent = "";
  }

  async #draw(): Promise<void> {
    const { model, examples = [] } = this.#page.store.state;
    if (!model?.blocks) return;
    if (examples.length === 0) {
      this.#text.textContent = `A step needs labelled pictures, and the page has none of the classes of ${model.name}.`;
      return;
    }
    const level = document.querySelector<HTMLInputElement>("#step-level input:checked")?.value;
    const draw = () => Float32Array.from({ length: model.blocks ?? 0 }, Math.random);
    const shared = draw();
    const items: HTMLElement[] = [];
    let right = 0;
    const pictures = examples.slice(0, BATCH);
    for (const picture of pictures) {
      const alphas = level === "batch" ? shared : draw();
      const pixels = picture.pixelsIn(model.input);
      const { probabilities } = await this.#page.worker.call("shake", pixels, alphas);
      if (model !== this.#page.store.state.model) return;
      const { name } = bestOf(probabilities, model.classNames);
      if (name === picture.name) right += 1;
      items.push(item(picture, model.input, alphas, name));
    }
    this.#list.replaceChildren(...items);
    const how =
      level === "batch"
        ? "All pictures have the same alphas, so all are seen by the same mix"
        : "Every picture has alphas of its own, so a batch holds as many mixes as pictures";
    this.#text.textContent = `${how}. ${right} of ${pictures.length} are recognised. Each bar is a block: blue is the weight of branch 1, orange of branch 2.`;
  }
}

/** A picture, the alpha of each block as a bar in the colours of the branches, and the answer. */
function item(picture: Picture, form: PictureForm, alphas: Float32Array, answer: string): HTMLElement {
  const bars = Array.from(alphas, (alpha) => {
    const bar = make("span", "mix");
    bar.style.setProperty("--alpha", String(alpha));
    return bar;
  });
  const stack = make("span", "mixes", ...bars);
  stack.setAttribute("role", "img");
  stack.setAttribute("aria-label", `alpha ${Array.from(alphas, (alpha) => alpha.toFixed(2)).join(", ")}`);
  const isRight = answer === picture.name;
  const verdict = make("span", isRight ? "right" : "wrong", `${isRight ? "✓" : "✗"} ${answer}`);
  return make("li", "answer", thumbnail(picture, form), stack, verdict);
}

/** The images and the labels of the first pictures, as a model takes them. */
export function labelledBatch(
  pictures: readonly Picture[],
  { classNames, input }: Pick<ModelInfo, "classNames" | "input">,
  count: number,
): Examples {
  const names = classNames.map((name) => name.replaceAll("_", " "));
  const known = pictures.filter(({ name }) => names.includes(name)).slice(0, count);
  return {
    images: imagesOf(known, input),
    labels: Uint8Array.from(known, ({ name }) => names.indexOf(name)),
  };
}
