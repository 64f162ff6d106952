import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";
import type { DeviceReport, Devices, ModelInfo } from "../calls/model.ts";
import { assets } from "./assets.ts";
import { Bars, bestOf, className, percent } from "./bars.ts";
import { deviceChoice } from "./device-choice.ts";
import { find, make, showFacts } from "./dom.ts";
import { areDrawings, testPictures } from "./examples.ts";
import { Feeding } from "./feeding.ts";
import type { Messages } from "./messages.ts";
import type { Page } from "./page.ts";
import { batchesOf } from "./picture-batches.ts";
import { type Picture, paint, picturesOf, thumbnail } from "./pictures.ts";
import type { State, Store } from "./state.ts";
import type { TabContent } from "./tabs.ts";
import { latest, type WorkerClient } from "./worker-client.ts";

const EXAMPLES = 20;

/** The tab Classify: a picture with its probabilities, test pictures, the model and the device. */
export class ClassifyTab implements TabContent {
  readonly #worker: WorkerClient;
  readonly #store: Store;
  readonly #messages: Messages;
  readonly #bars = new Bars(find("bars", HTMLOListElement));
  readonly #answer = find("answer", HTMLHeadingElement);
  readonly #timing = find("timing", HTMLParagraphElement);
  readonly #classify: (picture: Picture) => void;
  readonly #feeding: Feeding;
  readonly #exampleButtons = new Map<Picture, HTMLButtonElement>();
  #firstExample = 0;

  constructor(page: Page) {
    const { worker, store, messages } = page;
    this.#worker = worker;
    this.#store = store;
    this.#feeding = new Feeding(page);
    this.#messages = messages;
    this.#classify = latest((picture) => messages.guard(() => this.#answerFor(picture)));
    store.watch((state, changes) => this.#update(state, changes));
    find("more-examples", HTMLButtonElement).addEventListener("click", () => {
      this.#firstExample += EXAMPLES;
      void messages.guard(() => this.#showExamples());
    });
    find("devices", HTMLFieldSetElement).addEventListener("change", () => {
      void messages.guard(() => this.#chooseDevice());
    });
    find("no-model-train", HTMLButtonElement).addEventListener("click", () => page.showTab("train"));
    find("no-model", HTMLElement).hidden = assets.model !== undefined;
    if (assets.model) this.#reserveExamples(assets.model.examples?.kind === "drawings");
    new IntersectionObserver(([entry]) => {
      find("answer-strip", HTMLElement).classList.toggle("needless", entry?.isIntersecting === true);
    }).observe(this.#answer);
  }

  show(): void {
    if (this.#store.state.model) this.#messages.say("Ready");
  }

  /** Takes the place of the pictures that will come, so that nothing moves when they do. */
  #reserveExamples(areDrawn: boolean): void {
    find("examples-card", HTMLElement).hidden = false;
    describeExamples({ areDrawn, areAll: areDrawn });
    const place = () => make("li", "", make("div", "example place", make("canvas"), "\u00a0"));
    find("examples", HTMLUListElement).replaceChildren(...Array.from({ length: EXAMPLES }, place));
  }

  /**
   * The pictures that came with the model, or test pictures of its data set, if the page has them; `first` of
   * them are left out.
   */
  async #examplesOf(model: ModelInfo, first: number): Promise<readonly Picture[]> {
    const { heldOut = [] } = this.#store.state;
    if (heldOut.length > 0) return turned(heldOut, first).slice(0, EXAMPLES);
    const found = await testPictures(this.#worker, model, EXAMPLES, first);
    if (!found) return [];
    const names = Array.from(found.labels, (label) => className(model.classNames, label));
    return picturesOf(found.images, names);
  }

  /**
   * Classifies test pictures, if there are any. `isNew` shows the first of them, unless the user
   * has chosen one.
   */
  async #showExamples(isNew = false): Promise<void> {
    const { model } = this.#store.state;
    if (!model) return;
    const first = this.#firstExample;
    const pictures = await this.#examplesOf(model, first);
    if (model !== this.#store.state.model) return;
    find("examples-card", HTMLElement).hidden = pictures.length === 0;
    if (pictures.length === 0) return;
    const { heldOut = [] } = this.#store.state;
    const areDrawn = heldOut.length === 0 && areDrawings(model.data);
    const areAll = areDrawn || (heldOut.length > 0 && heldOut.length <= EXAMPLES);
    describeExamples({ areDrawn, areAll });
    const answers = await this.#answersFor(pictures, model);
    // the user may have asked for other pictures or another model meanwhile
    if (first !== this.#firstExample || model !== this.#store.state.model) return;
    this.#exampleButtons.clear();
    find("examples", HTMLUListElement).replaceChildren(
      ...pictures.map((picture, i) => this.#example(picture, at(answers, i), model)),
    );
    const certainty = (i: number) => at(answers, i).reduce((a, b) => Math.max(a, b));
    const [least] = [...pictures.keys()].sort((a, b) => certainty(a) - certainty(b));
    const leastCertain = least === undefined ? undefined : pictures[least];
    const shown = isNew ? this.#firstShown(pictures) : {};
    this.#store.set({ examples: pictures, leastCertain, ...shown });
    this.#markExample();
  }

  /** The picture that a model is opened with: the first test picture, or the chosen one in its place. */
  #firstShown(pictures: readonly Picture[]): Pick<State, "picture"> {
    const { picture, isPictureChosen, examples = [] } = this.#store.state;
    if (!picture || !isPictureChosen) return { picture: pictures[0] };
    const place = examples.indexOf(picture);
    return place < 0 ? {} : { picture: pictures[place] };
  }

  /** The probabilities of each picture. */
  async #answersFor(pictures: readonly Picture[], { input }: ModelInfo): Promise<Float32Array[]> {
    const rows: Float32Array[] = [];
    for (const { images, count } of batchesOf(pictures, input)) {
      const { probabilities } = await this.#worker.call("classify", images);
      const classes = probabilities.length / count;
      for (let i = 0; i < count; i++) rows.push(probabilities.subarray(i * classes, (i + 1) * classes));
    }
    return rows;
  }

  /** Measures the devices and uses the one that is selected. */
  async #chooseDevice(): Promise<void> {
    const selected = document.querySelector<HTMLInputElement>("#devices input:checked");
    const choice = deviceChoice(selected?.value);
    this.#messages.say("Measuring the devices");
    this.#store.set({ devices: await this.#worker.call("chooseDevice", choice) });
    this.#messages.say("Ready");
  }

  #update({ model, picture }: State, changes: State): void {
    if (changes.model) this.#open(changes.model);
    if (changes.devices) showDevices(changes.devices);
    if (changes.picture) {
      find("picture-name", HTMLParagraphElement).textContent = changes.picture.name;
      this.#markExample();
    }
    if (picture && (changes.picture || changes.model))
      paint(find("picture", HTMLCanvasElement), picture, model?.input);
    if (changes.model) find("no-model", HTMLElement).hidden = true;
    const isNew = changes.model || changes.devices || changes.picture;
    if (model && picture && isNew) this.#classify(picture);
  }

  /** Marks the test picture that is shown. */
  #markExample(): void {
    for (const [picture, button] of this.#exampleButtons)
      button.setAttribute("aria-pressed", String(picture === this.#store.state.picture));
  }

  #open(model: ModelInfo): void {
    showModel(model);
    this.#feeding.show(model);
    this.#firstExample = 0;
    void this.#messages.inBackground(async () => {
      try {
        await this.#showExamples(true);
      } catch (error) {
        // a network whose pictures cannot be loaded has a device too
        if (error instanceof UserError && error.code === "download-failed") await this.#chooseDevice();
        throw error;
      }
      await this.#chooseDevice();
    });
  }

  async #answerFor(picture: Picture): Promise<void> {
    const { model } = this.#store.state;
    if (!model) return;
    const { name } = picture;
    const pixels = picture.pixelsIn(model.input);
    const { probabilities, device, milliseconds } = await this.#worker.call("classify", pixels);
    const best = this.#bars.show(probabilities, model.classNames);
    const answer = `Recognised as ${best.name} (${percent(best.probability)})`;
    this.#answer.textContent = answer;
    const strip = find("answer-strip", HTMLElement);
    strip.replaceChildren(thumbnail(picture, model.input), answer);
    strip.hidden = false;
    this.#timing.textContent = `${milliseconds.toFixed(1)} ms on ${deviceTitle(device)}`;
    this.#messages.announce(`${name}: ${answer}`);
  }

  #example(picture: Picture, probabilities: Float32Array, model: ModelInfo): HTMLElement {
    const { name } = bestOf(probabilities, model.classNames);
    const isRight = name === picture.name;
    const verdict = make("span", isRight ? "right" : "wrong", `${isRight ? "✓" : "✗"} ${name}`);
    const truth = make("span", "heard", isRight ? ", right" : `, wrong: it is ${picture.name}`);
    const button = make(
      "button",
      "example",
      thumbnail(picture, model.input),
      make("span", "", verdict, truth),
    );
    button.type = "button";
    button.title = isRight ? "right" : `wrong: it is ${picture.name}`;
    button.setAttribute("aria-pressed", "false");
    this.#exampleButtons.set(picture, button);
    button.addEventListener("click", () => this.#store.set({ picture, isPictureChosen: true }));
    return make("li", "", button);
  }
}

/** Says what the test pictures are; no others are offered where all of them are shown. */
function describeExamples({ areDrawn, areAll }: { areDrawn: boolean; areAll: boolean }): void {
  const what = areDrawn ? "Drawings of its classes" : "Test pictures";
  find("examples-title", HTMLElement).textContent = `${what} (not used for training)`;
  find("examples-note", HTMLElement).hidden = !areDrawn;
  find("more-examples", HTMLElement).hidden = areAll;
}

/** The pictures from a place on; behind the last one the first follows. */
function turned(pictures: readonly Picture[], place: number): readonly Picture[] {
  const first = place % pictures.length;
  return [...pictures.slice(first), ...pictures.slice(0, first)];
}

function showModel(model: ModelInfo): void {
  const accuracy = model.testAccuracy === undefined ? undefined : percent(model.testAccuracy / 100);
  const line = [model.network ?? model.name, model.data && `on ${model.data}`].filter(Boolean).join(" ");
  find("model-line", HTMLParagraphElement).textContent = accuracy
    ? `${line}, test accuracy ${accuracy}`
    : line;
  showFacts(find("model-facts", HTMLElement), {
    file: model.name,
    network: model.network,
    "trained on": model.data,
    "test accuracy": accuracy,
    pictures: formOf(model),
    size: sizeOf(model.bytes),
  });
}

function sizeOf(bytes: number): string {
  return bytes < 1e6 ? `${(bytes / 1000).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** How a model is given pictures, in words. */
function formOf({ input: { size }, pixels }: ModelInfo): string {
  const { channels, height, width } = size;
  const colours = { 1: "grey", 3: "colours", 4: "colours with alpha" }[channels] ?? "";
  return `${width} x ${height}, ${colours}${pixels === "raw" ? "" : `, pixels ${pixels}`}`;
}

function showDevices({ chosen, threads, threadsReason, wasm, webgpu }: Devices): void {
  const count = threads === 1 ? "1 thread" : `${threads} threads`;
  const why = threadsReason === undefined ? "" : ` (${threadsReason})`;
  find("device-wasm", HTMLParagraphElement).textContent =
    `${chosen === "wasm" ? "▸ " : ""}WebAssembly: ${describe(wasm)}, ${count}${why}.`;
  find("device-webgpu", HTMLParagraphElement).textContent =
    `${chosen === "webgpu" ? "▸ " : ""}WebGPU: ${describe(webgpu)}.`;
}

function describe(report: DeviceReport | undefined): string {
  if (report === undefined) return "not measured yet";
  if ("reason" in report) return `not used. ${report.reason}`;
  return `${report.milliseconds.toFixed(1)} ms a picture`;
}

/** The name of a device as the page writes it. */
export function deviceTitle(device: Devices["chosen"]): string {
  return device === "webgpu" ? "WebGPU" : "WebAssembly";
}
