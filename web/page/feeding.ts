import type { ModelFile, ModelInfo } from "../calls/model.ts";
import { find } from "./dom.ts";
import type { Page } from "./page.ts";

/** How a model is given pictures whose file does not say it: the user chooses the pixels and the size. */
export class Feeding {
  readonly #form = find("feeding", HTMLFormElement);
  readonly #page: Page;

  constructor(page: Page) {
    this.#page = page;
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    this.#form.addEventListener("change", () => {
      if (this.#form.reportValidity()) void page.messages.guard(() => this.#feed());
    });
  }

  /** Shows how a model is fed, and offers what its file does not say. */
  show({ unsaid, pixels, input: { size } }: ModelInfo): void {
    this.#form.hidden = !unsaid.pixels && !unsaid.size;
    find("feeding-pixels", HTMLLabelElement).hidden = !unsaid.pixels;
    find("feeding-size", HTMLLabelElement).hidden = !unsaid.size;
    this.#field("pixels", pixels);
    this.#field("size", String(size.height));
  }

  async #feed(): Promise<void> {
    const { model } = this.#page.store.state;
    if (!model) return;
    try {
      await this.#page.feedModel(feedingIn(new FormData(this.#form), model));
    } catch (error) {
      // the model goes on as it was fed before
      this.show(model);
      throw error;
    }
  }

  #field(name: string, value: string): void {
    const field = this.#form.elements.namedItem(name);
    if (field instanceof HTMLSelectElement || field instanceof HTMLInputElement) field.value = value;
  }
}

function feedingIn(data: FormData, { unsaid }: ModelInfo): ModelFile["feeding"] {
  const side = Number(data.get("size"));
  return {
    ...(unsaid.pixels ? { pixels: String(data.get("pixels")) } : {}),
    ...(unsaid.size ? { size: { height: side, width: side } } : {}),
  };
}
