import { UserError } from "../../../graph-builder/errors.ts";
import type { OwnStep, OwnTrained } from "../../calls/own.ts";
import { assets } from "../assets.ts";
import { className } from "../bars.ts";
import { confusionCounts, showConfusion } from "../confusion-matrix.ts";
import { find } from "../dom.ts";
import { download } from "../download.ts";
import type { Page } from "../page.ts";
import { Picture } from "../pictures.ts";
import { FeatureCache } from "./feature-cache.ts";
import {
  countRight,
  type Division,
  divide,
  expectEveryClass,
  inTurns,
  joined,
  joinedFeatures,
  type LabelledPicture,
  labelled,
  learntIn,
} from "./lesson.ts";
import type { OwnClasses } from "./own-classes.ts";
import type { KeptNetwork, OwnNetwork } from "./own-network.ts";

/** The most pictures that were held out and go with the network to the other tabs. */
const MOST_SHOWN = 100;

const results = ["own-use", "own-onnx", "own-checkpoint"] as const;

/**
 * Trains a network on the pictures, shows what it makes of those that were held out, and offers its files.
 */
export class TrainingPanel {
  readonly #page: Page;
  readonly #classes: OwnClasses;
  readonly #network: OwnNetwork;
  readonly #cache: FeatureCache | undefined;
  readonly #status = find("own-training", HTMLParagraphElement);
  readonly #progress = find("own-progress", HTMLProgressElement);
  readonly #train = find("own-train", HTMLButtonElement);
  readonly #stop = find("own-stop", HTMLButtonElement);
  readonly #onTrained: () => void;
  /** The life of the classes that are learnt, while a training runs. */
  #running: AbortSignal | undefined;
  #isStopped = false;

  constructor(page: Page, classes: OwnClasses, network: OwnNetwork, onTrained: () => void) {
    [this.#page, this.#classes, this.#network, this.#onTrained] = [page, classes, network, onTrained];
    const { worker, messages } = page;
    const checkpoint = assets.model && new URL(assets.model.checkpoint, document.baseURI).href;
    this.#cache = checkpoint === undefined ? undefined : new FeatureCache(worker, classes.store, checkpoint);
    worker.listen((event) => {
      if (event.type === "own-step") this.#showStep(event);
    });
    this.#train.addEventListener("click", () => void messages.guard(() => this.#run()));
    this.#stop.addEventListener("click", () => void messages.guard(() => this.stop()));
    addEventListener("beforeunload", (event) => {
      if (this.#running) event.preventDefault();
    });
    this.#connectResults();
    void messages.inBackground(() => this.#describeNetwork());
  }

  /** Computes the features of new pictures to learn from while the user does something else. */
  prepare(): void {
    if (!this.#cache || this.#running || method() !== "last-layer") return;
    // a failure is told when the training needs the features
    this.#cache.embed(this.#classes.all.flatMap(learntIn)).catch(() => undefined);
  }

  /** Shows the network that there is, and whether the pictures have changed since it was trained. */
  update(): void {
    const { current } = this.#network;
    for (const id of results) find(id, HTMLButtonElement).disabled = !current || this.#running !== undefined;
    find("own-result", HTMLElement).hidden = !current || current.labels.length === 0;
    if (!current) return;
    find("own-stale", HTMLElement).hidden = current.pictures === this.#fingerprint();
    const { trained, classNames, labels } = current;
    const counts = confusionCounts(labels, trained.predictions, classNames.length);
    showConfusion(find("own-confusion", HTMLTableElement), counts, classNames);
  }

  /** Says how good the network is. */
  describe(): void {
    const { current } = this.#network;
    this.#progress.value = current ? 1 : 0;
    this.#status.textContent = current
      ? accuracyOf(current.labels, current.trained.predictions)
      : "Not trained yet.";
  }

  /** Ends the training that runs, if one does. */
  async stop(): Promise<void> {
    if (!this.#running) return;
    this.#isStopped = true;
    await this.#page.worker.call("stopOwn");
  }

  async #describeNetwork(): Promise<void> {
    const note = find("own-network", HTMLElement);
    if (this.#cache) {
      const { title, data } = await this.#cache.network();
      const learnt = data === undefined ? "" : `, which has learnt ${data}`;
      note.textContent = `${title}${learnt}. It takes seconds, and few pictures are enough.`;
      return;
    }
    note.textContent = "The page was built without a network.";
    choose("whole");
    radio("last-layer").disabled = true;
  }

  async #run(): Promise<void> {
    const division = divide(this.#classes.all);
    const pictures = this.#fingerprint();
    await this.#classes.unlessForgotten(async (life) => {
      this.#setRunning(life);
      try {
        const start = performance.now();
        const trained = await this.#trained(division);
        life.throwIfAborted();
        const isKept = await this.#network.set({ ...trained, classNames: division.classNames, pictures });
        life.throwIfAborted();
        this.#setRunning(undefined);
        this.describe();
        const seconds = ((performance.now() - start) / 1000).toFixed(1);
        const advice = isKept ? "" : " This browser could not keep the network: download it.";
        this.#status.textContent = `Done in ${seconds} s. ${this.#status.textContent}${advice}`;
        this.#onTrained();
      } catch (error) {
        this.#setRunning(undefined);
        life.throwIfAborted();
        this.#status.textContent = this.#isStopped ? "Stopped." : "The training ended with an error.";
        if (!(this.#isStopped && error instanceof UserError)) throw error;
      }
    });
  }

  /**
   * Trains on the pictures that are still there when they are read; `labels` are of those that were held out.
   */
  async #trained(division: Division): Promise<Pick<KeptNetwork, "trained" | "labels">> {
    const { worker } = this.#page;
    const { classNames } = division;
    const cache = method() === "whole" ? undefined : this.#expectCache();
    const learnt = await (cache ? this.#features(division, cache) : this.#pixels(division));
    expectEveryClass(classNames, learnt.labels);
    const heldOut = await this.#examples(division.heldOut);
    this.#expectGoing();
    const lesson = { classNames, ...learnt, heldOut };
    const trained = await (cache
      ? worker.call("trainLastLayer", cache.checkpoint, lesson)
      : worker.call("trainWhole", lesson));
    return { trained, labels: heldOut.labels };
  }

  #expectCache(): FeatureCache {
    if (this.#cache) return this.#cache;
    throw new UserError("The page was built without a network.", { code: "model-missing" });
  }

  async #features({ learnt }: Division, cache: FeatureCache) {
    const ids = idsOf(learnt);
    await cache.embed(ids, (done, of) => {
      this.#expectGoing();
      this.#progress.value = done / of;
      this.#status.textContent = `The network looks at the pictures: ${done} of ${of}.`;
    });
    const { labels, values } = labelled(learnt, await cache.featuresOf(ids));
    return { labels, inputs: joinedFeatures(values) };
  }

  async #pixels({ learnt }: Division) {
    this.#status.textContent = "Compiling the network and opening a session.";
    const { labels, images } = await this.#examples(learnt);
    return { labels, inputs: images };
  }

  async #examples(pictures: readonly LabelledPicture[]) {
    const { labels, values } = labelled(pictures, await this.#classes.store.pixels(idsOf(pictures)));
    return { labels, images: joined(values) };
  }

  #expectGoing(): void {
    if (this.#isStopped) throw new UserError("The training was stopped.", { code: "interrupted" });
  }

  #showStep({ step, steps, loss, secondsLeft }: OwnStep): void {
    if (!this.#running || this.#running.aborted) return;
    this.#progress.value = step / steps;
    const left = Math.ceil(secondsLeft);
    this.#status.textContent = `Step ${step} of ${steps}, loss ${loss.toFixed(3)}, ${left} s left.`;
  }

  #setRunning(running: AbortSignal | undefined): void {
    this.#running = running;
    if (running) this.#isStopped = false;
    this.#train.disabled = running !== undefined;
    this.#stop.disabled = running === undefined;
    this.update();
  }

  #connectResults(): void {
    const { messages, openModel, showTab } = this.#page;
    const tasks: Readonly<Record<(typeof results)[number], (trained: OwnTrained) => Promise<void> | void>> = {
      "own-use": async ({ name, onnx, checkpoint }) => {
        await openModel({ name, bytes: onnx, checkpoint }, await this.#heldOutPictures());
        showTab("classify");
      },
      "own-onnx": ({ name, onnx }) => download(name, onnx),
      "own-checkpoint": ({ checkpoint }) => download("checkpoint", checkpoint),
    };
    for (const id of results)
      find(id, HTMLButtonElement).addEventListener("click", () => {
        const { current } = this.#network;
        if (current) void messages.guard(async () => tasks[id](current.trained));
      });
  }

  /** Some pictures that the network has not learnt; none where the pictures have changed since. */
  async #heldOutPictures(): Promise<Picture[]> {
    if (this.#network.current?.pictures !== this.#fingerprint()) return [];
    const { heldOut, classNames } = divide(this.#classes.all);
    const shown = inTurns(heldOut).slice(0, MOST_SHOWN);
    const pixels = await this.#classes.store.pixels(idsOf(shown));
    return shown.flatMap(({ id, label }) => {
      const found = pixels.get(id);
      return found ? [Picture.ofPixels(className(classNames, label), found)] : [];
    });
  }

  /** The classes that have pictures, and which these are, as one text. */
  #fingerprint(): string {
    const filled = this.#classes.all.filter(({ pictures }) => pictures.length > 0);
    return JSON.stringify(filled.map(({ name, pictures }) => [name, pictures.length, pictures.at(-1)]));
  }
}

function idsOf(pictures: readonly LabelledPicture[]): number[] {
  return pictures.map(({ id }) => id);
}

function accuracyOf(labels: Uint8Array, predictions: Uint8Array): string {
  const [right, all] = [countRight(labels, predictions), labels.length];
  if (all === 0)
    return "With four pictures of a class, one of them would be held out to measure the network.";
  return `${right} of ${all} pictures that were held out are right (${((100 * right) / all).toFixed(1)} %).`;
}

function radio(value: "last-layer" | "whole"): HTMLInputElement {
  const found = document.querySelector<HTMLInputElement>(`#own-method input[value=${value}]`);
  if (found) return found;
  throw new Error(`the page has no method ${value}`);
}

function method(): "last-layer" | "whole" {
  return radio("whole").checked ? "whole" : "last-layer";
}

function choose(value: "last-layer" | "whole"): void {
  radio(value).checked = true;
}
