import type {
  TrainChoices,
  Trained,
  TrainingEnd,
  TrainingEpoch,
  TrainingHistory,
  TrainingStep,
} from "../calls/training.ts";
import type { WorkerEvent } from "../protocol.ts";
import { ask } from "./ask.ts";
import { percent } from "./bars.ts";
import { deviceTitle } from "./classify.ts";
import { find, showFacts } from "./dom.ts";
import { download } from "./download.ts";
import type { Page } from "./page.ts";
import type { TabContent } from "./tabs.ts";
import { fillForm, linkTo, readChoices } from "./train-form.ts";
import { TrainingCharts } from "./training-charts.ts";
import { TrainingView } from "./training-view.ts";

const results = ["use-trained", "download-onnx", "download-checkpoint"] as const;

/** The tab Train: trains a small network, shows how it learns and offers the result. */
export class TrainTab implements TabContent {
  readonly #page: Page;
  readonly #status = find("training-status", HTMLParagraphElement);
  readonly #form = find("train-form", HTMLFormElement);
  readonly #start = find("start-training", HTMLButtonElement);
  readonly #stop = find("stop-training", HTMLButtonElement);
  readonly #resume = find("resume-training", HTMLButtonElement);
  readonly #forget = find("forget-training", HTMLButtonElement);
  readonly #charts = new TrainingCharts();
  readonly #view: TrainingView;
  #facts: Readonly<Record<string, string>> = {};
  #isRunning = false;
  #isFinished = false;
  /** Whether the network has been trained since it was last used or downloaded. */
  #isUnsaved = false;
  #step = 0;

  constructor(page: Page) {
    const { worker, messages } = page;
    this.#page = page;
    this.#view = new TrainingView(page);
    worker.listen((event) => this.#receive(event));
    const onClick = (button: HTMLButtonElement, task: () => Promise<void>) =>
      button.addEventListener("click", () => void messages.guard(task));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void messages.guard(() => this.#begin(readChoices(this.#form)));
    });
    onClick(this.#stop, async () => {
      this.#status.textContent = "Stopping after the current step.";
      await worker.call("stop");
    });
    onClick(this.#resume, () => this.#run(() => worker.call("resume")));
    onClick(this.#forget, () => this.#forgetTraining());
    onClick(find("copy-train-link", HTMLButtonElement), () => this.#copyLink());
    this.#connectResults(onClick);
    addEventListener("beforeunload", (event) => {
      if (this.#isRunning) event.preventDefault();
    });
    void messages.inBackground(() => this.#restore());
  }

  /** Fills the form with the settings of a link, such as `#train?width=16&epochs=10`. */
  show(settings: URLSearchParams): void {
    fillForm(this.#form, settings);
  }

  #connectResults(onClick: (button: HTMLButtonElement, task: () => Promise<void>) => void): void {
    const { worker, openModel, showTab } = this.#page;
    const tasks: Readonly<Record<(typeof results)[number], (trained: Trained) => Promise<void> | void>> = {
      "use-trained": async ({ name, onnx, checkpoint }) => {
        await openModel({ name, bytes: onnx, checkpoint });
        showTab("classify");
      },
      "download-onnx": ({ name, onnx }) => download(name, onnx),
      "download-checkpoint": ({ checkpoint }) => download("checkpoint", checkpoint),
    };
    for (const id of results)
      onClick(find(id, HTMLButtonElement), async () => {
        await tasks[id](await worker.call("trained"));
        this.#isUnsaved = this.#isRunning;
      });
  }

  async #begin(choices: TrainChoices): Promise<void> {
    const question = `The network of ${this.#step} steps was neither used nor downloaded. A new training discards it.`;
    if (this.#isUnsaved && !(await ask(question, "Discard it and start"))) return;
    this.#clear(choices);
    await this.#run(() => this.#page.worker.call("train", choices));
  }

  #clear({ images, batchSize, epochs }: TrainChoices): void {
    this.#charts.clear(Math.ceil(images / batchSize) * epochs);
    this.#view.clear();
    this.#step = 0;
    this.#isFinished = false;
    this.#isUnsaved = false;
    find("training-progress", HTMLProgressElement).value = 0;
    showKept(true);
    this.#showFacts({});
  }

  async #run(train: () => Promise<TrainingEnd>): Promise<void> {
    this.#setRunning(true);
    this.#status.textContent = "Compiling the network and opening a session.";
    try {
      const { finished, step } = await train();
      this.#isFinished = finished;
      const { "time left": _, ...facts } = this.#facts;
      this.#showFacts(facts);
      const test = this.#facts["test accuracy"];
      const accuracy = test === undefined ? "" : ` Test accuracy ${test}.`;
      this.#status.textContent = finished ? `Done.${accuracy}` : `Stopped after step ${step}.${accuracy}`;
    } catch (error) {
      this.#status.textContent = "The training ended with an error.";
      throw error;
    } finally {
      this.#setRunning(false);
    }
  }

  /** Shows the training of before a reload, which the browser has kept. */
  async #restore(): Promise<void> {
    const kept = await this.#page.worker.call("restore");
    if (!kept || this.#isRunning || this.#step > 0) return;
    this.#clear(kept.choices);
    fillForm(
      this.#form,
      Object.entries(kept.choices).map(([name, value]) => [name, String(value)] as const),
    );
    await this.#showHistory(kept.history);
    this.#setRunning(false);
    const state = this.#isFinished ? "It had finished." : "Resume goes on with it.";
    this.#status.textContent = `This is the training of before the page was reloaded, after step ${this.#step}. ${state}`;
  }

  async #showHistory({ points, records, predictions }: TrainingHistory): Promise<void> {
    for (const point of points) this.#charts.addStep(point);
    for (const record of records) this.#charts.addEpoch(record);
    const [last, record] = [points.at(-1), records.at(-1)];
    if (!last) return;
    this.#step = last.step;
    this.#isUnsaved = true;
    this.#isFinished = last.step === last.steps;
    find("training-progress", HTMLProgressElement).value = last.step / last.steps;
    this.#showFacts({
      step: `${last.step} of ${last.steps}`,
      ...(record ? { "test accuracy": percent(record.test_accuracy / 100) } : {}),
    });
    if (record) await this.#view.showEpoch(predictions);
  }

  async #forgetTraining(): Promise<void> {
    const question = "The browser forgets the network and its curves. Downloaded files stay.";
    if (!(await ask(question, "Forget it"))) return;
    await this.#page.worker.call("forget");
    this.#clear(readChoices(this.#form));
    this.#setRunning(false);
    this.#status.textContent = "Not started.";
  }

  async #copyLink(): Promise<void> {
    const link = linkTo(this.#form);
    history.replaceState(null, "", link);
    const text = (await isCopied(link))
      ? "The link to these settings is copied."
      : "The address of the page now has these settings.";
    this.#page.messages.say(text);
  }

  #setRunning(isRunning: boolean): void {
    const hasSteps = this.#step > 0;
    this.#isRunning = isRunning;
    this.#start.disabled = isRunning;
    this.#stop.disabled = !isRunning;
    this.#resume.disabled = isRunning || this.#isFinished || !hasSteps;
    this.#forget.disabled = isRunning || !hasSteps;
    this.#setResults(hasSteps && !isRunning);
  }

  #setResults(isEnabled: boolean): void {
    for (const id of results) find(id, HTMLButtonElement).disabled = !isEnabled;
  }

  #receive(event: WorkerEvent): void {
    if (event.type === "preparing") {
      const compiling = event.device === "webgpu" ? ", which compiles its kernels first" : "";
      this.#status.textContent = `Preparing ${deviceTitle(event.device)}${compiling}.`;
    } else if (event.type === "prepared")
      this.#status.textContent = `Training on ${deviceTitle(event.device)}: ${asClause(event.reason)}.`;
    else if (event.type === "kept") showKept(event.isKept);
    else if (event.type === "step") this.#showStep(event);
    else if (event.type === "epoch") this.#showEpoch(event);
  }

  #showStep(event: TrainingStep): void {
    const { step, steps, epoch, stepsPerSecond, secondsLeft } = event;
    const { loss, accuracy } = this.#charts.addStep(event);
    this.#view.showStep(event);
    this.#step = step;
    this.#isUnsaved = true;
    find("training-progress", HTMLProgressElement).value = step / steps;
    this.#showFacts({
      epoch: `${epoch}`,
      step: `${step} of ${steps}`,
      "training loss": loss.toFixed(3),
      "training accuracy": percent(accuracy / 100),
      "test accuracy": this.#facts["test accuracy"] ?? "–",
      "steps a second": stepsPerSecond.toFixed(1),
      "time left": formatSeconds(secondsLeft),
    });
  }

  #showEpoch({ record, predictions }: TrainingEpoch): void {
    this.#charts.addEpoch(record);
    this.#showFacts({ ...this.#facts, "test accuracy": percent(record.test_accuracy / 100) });
    // the checkpoint of the epoch is saved after its evaluation
    void this.#page.messages.inBackground(() => this.#view.showEpoch(predictions));
  }

  #showFacts(facts: Readonly<Record<string, string>>): void {
    this.#facts = facts;
    showFacts(find("training-facts", HTMLElement), facts);
  }
}

/** Says whether a reload finds the network again. */
function showKept(isKept: boolean): void {
  find("trained-kept", HTMLParagraphElement).textContent = isKept
    ? "The browser keeps the network across reloads until you forget it."
    : "This browser could not keep the network: download it before you leave the page.";
}

/** Copies a text. Returns whether the browser lets the page do so. */
async function isCopied(text: string): Promise<boolean> {
  try {
    // a page that is served without encryption to another machine has no clipboard
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** A sentence behind a colon: "This browser" becomes "this browser", and "WebGPU" stays. */
function asClause(sentence: string): string {
  return sentence.replace(/^[A-Z][a-z]+\b/, (word) => word.toLowerCase());
}

function formatSeconds(seconds: number): string {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}
