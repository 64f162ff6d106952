import { at } from "../../graph-builder/at.ts";
import { blockName } from "./block-name.ts";
import { find, make } from "./dom.ts";
import type { Page } from "./page.ts";
import { labelledBatch } from "./shake-step.ts";

/** How many pictures the gradients are of. */
const BATCH = 4;
const BETAS = [0, 0.25, 0.5, 0.75, 1];

/** What beta does: the gradient of each branch over beta, computed by the network's own backward graph. */
export class BetaDrawing {
  readonly #page: Page;
  readonly #list = find("beta-drawing", HTMLOListElement);
  readonly #text = find("beta-text", HTMLParagraphElement);
  readonly #alphas: () => Float32Array;

  constructor(page: Page, alphas: () => Float32Array) {
    this.#page = page;
    this.#alphas = alphas;
    const button = find("draw-beta", HTMLButtonElement);
    button.addEventListener("click", () =>
      page.messages.guard(async () => {
        button.disabled = true;
        try {
          await this.#draw();
        } catch (error) {
          this.#text.textContent = "";
          throw error;
        } finally {
          button.disabled = false;
        }
      }),
    );
  }

  clear(): void {
    this.#list.replaceChildren();
    this.#text.textContent = "";
  }

  async #draw(): Promise<void> {
    const { model, examples = [] } = this.#page.store.state;
    if (!model?.blocks) return;
    const pictures = labelledBatch(examples, model, BATCH);
    if (pictures.labels.length === 0) {
      this.#text.textContent = `The gradients need labelled pictures, and the page has none of the classes of ${model.name}.`;
      return;
    }
    const alphas = this.#alphas();
    const norms: Float32Array[] = [];
    for (const beta of BETAS) {
      this.#text.textContent = `The backward graph runs with beta ${beta}.`;
      norms.push(await this.#page.worker.call("branchGradients", pictures, alphas, beta));
      if (this.#page.store.state.model !== model) return;
    }
    const drawings = Array.from(alphas, (alpha, block) => {
      const name = make("span", "", `${blockName(block, alphas.length)}, alpha ${alpha.toFixed(2)}`);
      return make("li", "", drawing(block, norms), axis(), name);
    });
    this.#list.replaceChildren(...drawings);
    this.#text.textContent =
      "The height is the size of the gradient, blue for branch 1 and orange for branch 2. With beta 0 branch 1 learns nothing from these pictures, with beta 1 branch 2, whatever alpha mixed forward.";
  }
}

const [WIDTH, HEIGHT] = [100, 60];

/** The gradients of a block's branches over beta as two lines; norms [betas][blocks, 2]. */
function drawing(block: number, norms: readonly Float32Array[]): SVGElement {
  const series = [0, 1].map((branch) => norms.map((norm) => at(norm, 2 * block + branch)));
  const most = Math.max(...series.flat(), 1e-12);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", `-3 -3 ${WIDTH + 6} ${HEIGHT + 6}`);
  svg.setAttribute("role", "img");
  const ends = series.map(
    (values) => `${at(values, 0).toPrecision(2)} to ${at(values, values.length - 1).toPrecision(2)}`,
  );
  svg.setAttribute(
    "aria-label",
    `Gradient over beta from 0 to 1. Branch 1: ${ends[0]}. Branch 2: ${ends[1]}.`,
  );
  for (const [branch, values] of series.entries()) {
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    const points = values.map(
      (value, i) => `${(at(BETAS, i) * WIDTH).toFixed(1)},${(HEIGHT * (1 - value / most)).toFixed(1)}`,
    );
    line.setAttribute("points", points.join(" "));
    line.setAttribute("class", `branch${branch + 1}`);
    svg.append(line);
  }
  return svg;
}

function axis(): HTMLElement {
  const texts = ["0", "beta", "1"].map((text) => make("span", "", text));
  const found = make("p", "axis", ...texts);
  // the drawing's own name says it
  found.setAttribute("aria-hidden", "true");
  return found;
}
