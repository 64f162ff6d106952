import { at } from "../../graph-builder/at.ts";
import type { Inside, Maps, TestPictures, TrainingStep } from "../calls/training.ts";
import { className } from "./bars.ts";
import { blockName } from "./block-name.ts";
import { confusionCounts, showConfusion } from "./confusion-matrix.ts";
import { find, make } from "./dom.ts";
import { LiveNetwork } from "./live-network.ts";
import { filterCanvas, mapCanvas } from "./maps.ts";
import type { Page } from "./page.ts";
import { ownForm, type Picture, picturesOf, thumbnail } from "./pictures.ts";

/** How many test pictures are shown with the class that the network sees in them. */
const SHOWN = 20;
/** How many maps of each branch are shown. */
const SHOWN_MAPS = 8;

/** The test pictures of a training; of the first of them as pictures that the page shows. */
interface ShownTests extends TestPictures {
  readonly pictures: readonly Picture[];
}

/** What can be seen of the network while it trains: its blocks, its answers, and its inside. */
export class TrainingView {
  readonly #page: Page;
  readonly #network = new LiveNetwork();
  readonly #answers = find("answers-card", HTMLElement);
  readonly #inside = find("inside", HTMLDetailsElement);
  #tests: ShownTests | undefined;
  #predictions: Uint8Array = new Uint8Array();
  #followed = 0;

  constructor(page: Page) {
    this.#page = page;
    this.#inside.addEventListener("toggle", () => void page.messages.guard(() => this.#showInside()));
  }

  clear(): void {
    this.#network.clear();
    this.#answers.hidden = true;
    this.#tests = undefined;
    this.#predictions = new Uint8Array();
  }

  showStep(step: TrainingStep): void {
    this.#network.show(step);
  }

  /** Shows the classes that the network sees in the test pictures after an epoch. */
  async showEpoch(predictions: Uint8Array): Promise<void> {
    const before = this.#predictions;
    this.#predictions = predictions;
    const tests = await this.#testPictures();
    // a new training may have begun meanwhile
    if (this.#predictions !== predictions) return;
    this.#answers.hidden = false;
    this.#showAnswers(tests, before);
    const { labels, classNames } = tests;
    const counts = confusionCounts(labels, predictions, classNames.length);
    showConfusion(find("confusion", HTMLTableElement), counts, classNames);
    await this.#showInside();
  }

  async #testPictures(): Promise<ShownTests> {
    if (this.#tests) return this.#tests;
    const { images, labels, classNames } = await this.#page.worker.call("testPictures");
    const names = Array.from(labels.subarray(0, SHOWN), (label) => className(classNames, label));
    this.#tests = { images, labels, classNames, pictures: picturesOf(images, names) };
    return this.#tests;
  }

  #showAnswers({ labels, classNames, pictures }: ShownTests, before: Uint8Array): void {
    const isRight = (predictions: Uint8Array, i: number) => predictions[i] === labels[i];
    const items = pictures.map((picture, i) => {
      const right = isRight(this.#predictions, i);
      const turned = before.length > 0 && right !== isRight(before, i);
      const verdict = `${right ? "✓" : "✗"} ${className(classNames, at(this.#predictions, i))}`;
      const text = make("span", right ? "right" : "wrong", verdict);
      return make("li", `answer${turned ? " turned" : ""}`, thumbnail(picture), text);
    });
    find("answers", HTMLUListElement).replaceChildren(...items);
    const count = pictures.filter((_, i) => isRight(this.#predictions, i)).length;
    const all = labels.filter((_, i) => isRight(this.#predictions, i)).length;
    find("answers-count", HTMLParagraphElement).textContent =
      `${count} of these ${pictures.length} are right, and ${all} of all ${labels.length}.`;
  }

  /** Shows the filters and the maps of the last checkpoint where they are open. */
  async #showInside(): Promise<void> {
    if (!this.#inside.open || this.#predictions.length === 0) return;
    const { pictures } = await this.#testPictures();
    const picture = at(pictures, this.#followed);
    const { filters, maps } = await this.#page.worker.call("inside", picture.pixelsIn(ownForm));
    showFilters(filters);
    showMaps(maps);
    const buttons = pictures.map((other, i) => this.#pictureButton(other, i));
    find("inside-pictures", HTMLUListElement).replaceChildren(...buttons);
  }

  #pictureButton(picture: Picture, i: number): HTMLLIElement {
    const button = make("button", "", thumbnail(picture));
    button.type = "button";
    button.setAttribute("aria-label", picture.name);
    button.setAttribute("aria-pressed", String(i === this.#followed));
    button.addEventListener("click", () => {
      this.#followed = i;
      void this.#page.messages.guard(() => this.#showInside());
    });
    return make("li", "", button);
  }
}

function showFilters({ count, side, values }: Inside["filters"]): void {
  const size = values.length / count;
  const canvases = Array.from({ length: count }, (_, i) =>
    filterCanvas(values.subarray(i * size, (i + 1) * size), side),
  );
  find("filters", HTMLElement).replaceChildren(...canvases);
}

function showMaps(maps: readonly Maps[]): void {
  const rows = maps.map(({ dims: [channels, height, width], values }, i) => {
    const name = `${blockName(i >> 1, maps.length / 2)}, branch ${(i % 2) + 1}`;
    const area = height * width;
    const canvases = Array.from({ length: Math.min(SHOWN_MAPS, channels) }, (_, i) =>
      mapCanvas(values.subarray(i * area, (i + 1) * area), width, height),
    );
    return make(
      "li",
      "maps",
      make("span", "", `${name}, ${width} x ${height}`),
      make("div", "", ...canvases),
    );
  });
  find("maps", HTMLElement).replaceChildren(...rows);
}
