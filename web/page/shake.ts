import { at } from "../../graph-builder/at.ts";
import { Bars, type Best, bestOf, className, percent } from "./bars.ts";
import { BetaDrawing } from "./beta-drawing.ts";
import { deviceTitle } from "./classify.ts";
import { find, make } from "./dom.ts";
import { showHistogram } from "./histogram.ts";
import type { Messages } from "./messages.ts";
import { NetworkPicture } from "./network-picture.ts";
import type { Page } from "./page.ts";
import { type Picture, paint, thumbnail } from "./pictures.ts";
import { ShakeStep } from "./shake-step.ts";
import type { State, Store } from "./state.ts";
import type { TabContent } from "./tabs.ts";
import { latest, type WorkerClient } from "./worker-client.ts";

const DRAWS = 200;
const EXAMPLES = 10;
const DRAWS_AT_ONCE = 20;
const NO_DRAWS = "Each draw marks its probabilities on the bars.";

/** The tab Shake: a slider for the weight of branch 1 in each block, and the answer with these weights. */
export class ShakeTab implements TabContent {
  readonly #worker: WorkerClient;
  readonly #store: Store;
  readonly #messages: Messages;
  readonly #bars = new Bars(find("shake-bars", HTMLOListElement));
  readonly #network: NetworkPicture;
  readonly #step: ShakeStep;
  readonly #beta: BetaDrawing;
  readonly #spread = find("spread", HTMLParagraphElement);
  readonly #clear = find("clear-draws", HTMLButtonElement);
  readonly #ask: (alphas: Float32Array) => void;
  readonly #exampleButtons = new Map<Picture, HTMLButtonElement>();
  #draws: Float32Array[] = [];
  #best: Best | undefined;
  #isShown = false;

  constructor(page: Page) {
    const { worker, store, messages } = page;
    this.#worker = worker;
    this.#store = store;
    this.#messages = messages;
    this.#ask = latest((alphas) => messages.guard(() => this.#answerTo(alphas)));
    this.#network = new NetworkPicture((alphas) => this.#ask(alphas));
    this.#step = new ShakeStep(page);
    this.#beta = new BetaDrawing(page, () => this.#network.alphas);
    this.#clear.addEventListener("click", () => this.#clearDraws());
    find("draw", HTMLButtonElement).addEventListener("click", () => {
      void messages.guard(() => this.#drawMixes());
    });
    store.watch((state, changes) => this.#update(state, changes));
  }

  show(): void {
    this.#isShown = true;
    if (!this.#takeLeastCertain()) this.#ask(this.#network.alphas);
  }

  /**
   * Shows the picture of which the network is least certain, where the user has chosen none. Returns whether
   * it did, which asks for its answer too.
   */
  #takeLeastCertain(): boolean {
    const { leastCertain, isPictureChosen, picture } = this.#store.state;
    const isOther = leastCertain !== undefined && leastCertain !== picture && !isPictureChosen;
    if (isOther) this.#store.set({ picture: leastCertain });
    return isOther;
  }

  /** A hidden tab does not classify. */
  hide(): void {
    this.#isShown = false;
  }

  /** Offers some test pictures, the least certain one first. */
  #showExamples({ examples = [], leastCertain, model }: State): void {
    this.#exampleButtons.clear();
    const others = examples.filter((picture) => picture !== leastCertain);
    const shown = leastCertain ? [leastCertain, ...others] : others;
    const buttons = shown.slice(0, EXAMPLES).map((picture) => {
      const button = make("button", "", thumbnail(picture, model?.input));
      button.type = "button";
      button.setAttribute("aria-label", picture.name);
      button.addEventListener("click", () => this.#store.set({ picture, isPictureChosen: true }));
      this.#exampleButtons.set(picture, button);
      return make("li", "", button);
    });
    find("shake-examples", HTMLUListElement).replaceChildren(...buttons);
  }

  #update({ model, picture }: State, changes: State): void {
    if (changes.model) this.#network.setBlocks(changes.model.blocks ?? 0);
    if (changes.picture) {
      find("shake-picture-name", HTMLParagraphElement).textContent = changes.picture.name;
    }
    if (picture && (changes.picture || changes.model))
      paint(find("shake-picture", HTMLCanvasElement), picture, model?.input);
    if (changes.examples) this.#showExamples(this.#store.state);
    if (changes.model || changes.picture) this.#clearDraws();
    if (changes.model || changes.examples) {
      this.#step.clear();
      this.#beta.clear();
    }
    for (const [example, button] of this.#exampleButtons)
      button.setAttribute("aria-pressed", String(example === picture));
    const missing = whatIsMissing({ model, picture });
    const note = find("shake-missing", HTMLParagraphElement);
    note.hidden = missing === undefined;
    note.textContent = missing ?? "";
    find("shake-body", HTMLDivElement).hidden = missing !== undefined;
    if (!this.#isShown) return;
    // the tab of a link is shown before the pictures are there
    if (changes.leastCertain && this.#takeLeastCertain()) return;
    this.#ask(this.#network.alphas);
  }

  async #answerTo(alphas: Float32Array): Promise<void> {
    const { model, picture } = this.#store.state;
    if (!model || !picture || alphas.length !== model.blocks) return;
    const answer = await this.#worker.call("shake", picture.pixelsIn(model.input), alphas);
    // another model may have been opened meanwhile
    if (model !== this.#store.state.model) return;
    const best = this.#bars.show(answer.probabilities, model.classNames);
    this.#best = best;
    this.#bars.mark(this.#draws);
    const text = `Recognised as ${best.name} (${percent(best.probability)})`;
    find("shake-answer", HTMLHeadingElement).textContent = text;
    const time = `${answer.milliseconds.toFixed(1)} ms on ${deviceTitle(answer.device)}`;
    find("shake-timing", HTMLParagraphElement).textContent = time;
    this.#messages.announceAtRest(text);
  }

  async #drawMixes(): Promise<void> {
    const { model, picture } = this.#store.state;
    if (!model?.blocks || !picture) return;
    this.#clearDraws();
    this.#clear.disabled = false;
    const draws = this.#draws;
    while (draws === this.#draws && draws.length < DRAWS) {
      const alphas = Float32Array.from({ length: DRAWS_AT_ONCE * model.blocks }, Math.random);
      const { probabilities } = await this.#worker.call("shake", picture.pixelsIn(model.input), alphas);
      const classes = probabilities.length / DRAWS_AT_ONCE;
      for (let i = 0; i < DRAWS_AT_ONCE; i++)
        draws.push(probabilities.subarray(i * classes, (i + 1) * classes));
      if (draws !== this.#draws) return;
      this.#bars.mark(draws);
      this.#spread.textContent = describeSpread(draws, model.classNames);
      this.#showHistogram(draws, model.classNames);
    }
  }

  /** The histogram of the class that the even mix sees. */
  #showHistogram(draws: readonly Float32Array[], classNames: readonly string[]): void {
    const { index } = this.#best ?? bestOf(at(draws, 0), classNames);
    showHistogram(
      find("histogram", HTMLDivElement),
      draws.map((draw) => at(draw, index)),
      className(classNames, index),
    );
  }

  /** Clears the draws. A loop that is drawing sees a new list and stops. */
  #clearDraws(): void {
    this.#draws = [];
    this.#bars.mark(this.#draws);
    this.#clear.disabled = true;
    this.#spread.textContent = NO_DRAWS;
    find("histogram", HTMLDivElement).replaceChildren();
  }
}

function whatIsMissing({ model, picture }: State): string | undefined {
  if (!model)
    return "The page has no model yet: drop a checkpoint of shake on the page, or train a network in the tab Train.";
  if (model.blocks === undefined && model.network === undefined)
    return `${model.name} is no Shake-Shake network, so it has no branches to mix.`;
  if (model.blocks === undefined) {
    return `The branches of ${model.name} are merged into one, so they have no weights: drop its checkpoint on the page, or a model that shake export RUN --alpha-input --out FILE made.`;
  }
  return picture ? undefined : "The page has no picture yet: drop one on the page.";
}

/** Counts the answers of the draws, and describes the spread of the most frequent answer's probability. */
function describeSpread(draws: readonly Float32Array[], classNames: readonly string[]): string {
  const counts = new Map<number, number>();
  for (const draw of draws) {
    const { index } = bestOf(draw, classNames);
    counts.set(index, (counts.get(index) ?? 0) + 1);
  }
  const answers = [...counts].sort(([, a], [, b]) => b - a);
  const counted = answers.map(([index, count]) => `${className(classNames, index)} ${count}`).join(", ");
  const [first] = at(answers, 0);
  const sorted = draws.map((draw) => at(draw, first)).sort((a, b) => a - b);
  const quantile = (share: number) => percent(at(sorted, Math.round(share * (sorted.length - 1))));
  return `${draws.length} draws: ${counted}. The probability of ${className(classNames, first)} is between ${quantile(0)} and ${quantile(1)}; its median is ${quantile(0.5)}.`;
}
