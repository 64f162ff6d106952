import type { TrainChoices, Trained, TrainingEnd } from "../calls/training.ts";
import type { WorkerEvent } from "../protocol.ts";
import { Chart, type Line } from "./chart.ts";
import { deviceTitle } from "./classify.ts";
import { deviceChoice } from "./device-choice.ts";
import { find, showFacts } from "./dom.ts";
import type { Page } from "./page.ts";
import { RecentMean } from "./recent-mean.ts";
import type { TabContent } from "./tabs.ts";
import type { WorkerClient } from "./worker-client.ts";

type StepEvent = Extract<WorkerEvent, { type: "step" }>;

/** The span of the moving averages, in steps. */
const SPAN = 10;

const lines: readonly Line[] = [
  { label: "training", color: "--training" },
  { label: "test", color: "--test", isSparse: true },
];

/** The tab Train: trains a small network, draws its curves and offers the result. */
export class TrainTab implements TabContent {
  readonly #worker: WorkerClient;
  readonly #status = find("training-status", HTMLParagraphElement);
  readonly #form = find("train-form", HTMLFormElement);
  readonly #stop = find("stop-training", HTMLButtonElement);
  readonly #resume = find("resume-training", HTMLButtonElement);
  readonly #results = ["use-trained", "download-onnx", "download-checkpoint"].map((id) =>
    find(id, HTMLButtonElement),
  );
  readonly #loss = new Chart(find("loss-chart", HTMLDivElement), { title: "Loss", lines });
  readonly #accuracy = new Chart(find("accuracy-chart", HTMLDivElement), {
    title: "Accuracy in percent",
    lines,
    range: [0, 100],
  });
  #recent = { loss: new RecentMean(SPAN), accuracy: new RecentMean(SPAN) };
  #facts: Readonly<Record<string, string>> = {};
  #testAccuracy: number | undefined;

  constructor({ worker, messages, openModel, showTab }: Page) {
    this.#worker = worker;
    worker.listen((event) => this.#receive(event));
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void messages.guard(() => this.#start(readChoices(this.#form)));
    });
    this.#stop.addEventListener("click", () => {
      this.#status.textContent = "Stopping after the current step.";
      void messages.guard(() => worker.call("stop"));
    });
    this.#resume.addEventListener("click", () => {
      void messages.guard(() => this.#run(() => worker.call("resume")));
    });
    const onClick = (id: string, task: (trained: Trained) => Promise<void> | void) =>
      find(id, HTMLButtonElement).addEventListener("click", () => {
        void messages.guard(async () => task(await worker.call("trained")));
      });
    onClick("use-trained", async ({ name, onnx, checkpoint }) => {
      await openModel({ name, bytes: onnx, checkpoint });
      showTab("classify");
    });
    onClick("download-onnx", ({ name, onnx }) => download(name, onnx));
    onClick("download-checkpoint", ({ checkpoint }) => download("checkpoint", checkpoint));
  }

  /** Fills the form with the settings of a link, such as `#train?width=16&epochs=10`. */
  show(settings: URLSearchParams): void {
    for (const [name, value] of settings) {
      const field = this.#form.elements.namedItem(name);
      if (field instanceof HTMLInputElement) field.value = value;
      const isChoice = field instanceof HTMLSelectElement;
      if (isChoice && [...field.options].some((option) => option.value === value)) field.value = value;
    }
  }

  async #start(choices: TrainChoices): Promise<void> {
    this.#loss.clear();
    this.#accuracy.clear();
    this.#recent = { loss: new RecentMean(SPAN), accuracy: new RecentMean(SPAN) };
    this.#testAccuracy = undefined;
    this.#showFacts({});
    await this.#run(() => this.#worker.call("train", choices));
  }

  async #run(train: () => Promise<TrainingEnd>): Promise<void> {
    this.#setRunning(true);
    this.#status.textContent = "Compiling the network and opening a session.";
    let end: TrainingEnd | undefined;
    try {
      end = await train();
      const accuracy =
        this.#testAccuracy === undefined ? "" : ` Test accuracy ${formatPercent(this.#testAccuracy)}.`;
      this.#status.textContent = end.finished
        ? `Done.${accuracy}`
        : `Stopped after step ${end.step}.${accuracy}`;
    } catch (error) {
      this.#status.textContent = "The training ended with an error.";
      throw error;
    } finally {
      this.#setRunning(false, end?.finished);
    }
  }

  #setRunning(isRunning: boolean, isFinished = false): void {
    const hasSteps = "step" in this.#facts;
    find("start-training", HTMLButtonElement).disabled = isRunning;
    this.#stop.disabled = !isRunning;
    this.#resume.disabled = isRunning || isFinished || !hasSteps;
    for (const button of this.#results) button.disabled = !hasSteps;
  }

  #receive(event: WorkerEvent): void {
    if (event.type === "prepared") {
      this.#status.textContent = `Training on ${deviceTitle(event.device)} (${event.reason}).`;
    } else if (event.type === "step") {
      this.#showStep(event);
    } else if (event.type === "epoch") {
      const { step, test_loss: loss, test_accuracy: accuracy } = event.record;
      this.#testAccuracy = accuracy;
      this.#loss.add(step, [undefined, loss]);
      this.#accuracy.add(step, [undefined, accuracy]);
      this.#showFacts({ ...this.#facts, test: formatPercent(accuracy) });
    }
  }

  #showStep({ step, steps, epoch, batchMetrics, examplesPerSecond, secondsLeft }: StepEvent): void {
    const loss = this.#recent.loss.add(batchMetrics.loss);
    const accuracy = this.#recent.accuracy.add(batchMetrics.accuracy);
    this.#loss.add(step, [loss]);
    this.#accuracy.add(step, [accuracy]);
    find("training-progress", HTMLProgressElement).value = step / steps;
    this.#showFacts({
      epoch: `${epoch}`,
      step: `${step} of ${steps}`,
      loss: loss.toFixed(3),
      accuracy: formatPercent(accuracy),
      test: this.#testAccuracy === undefined ? "–" : formatPercent(this.#testAccuracy),
      "images/s": examplesPerSecond.toFixed(0),
      left: formatSeconds(secondsLeft),
    });
  }

  #showFacts(facts: Readonly<Record<string, string>>): void {
    this.#facts = facts;
    showFacts(find("training-facts", HTMLElement), facts);
  }
}

function readChoices(form: HTMLFormElement): TrainChoices {
  const data = new FormData(form);
  const number = (name: keyof TrainChoices) => Number(data.get(name));
  return {
    depth: number("depth"),
    width: number("width"),
    images: number("images"),
    epochs: number("epochs"),
    batchSize: number("batchSize"),
    learningRate: number("learningRate"),
    device: deviceChoice(data.get("device")),
  };
}

function formatPercent(percent: number): string {
  return `${percent.toFixed(1)} %`;
}

function formatSeconds(seconds: number): string {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`;
}

function download(name: string, bytes: Uint8Array): void {
  // without a type a browser saves the bytes as a text file
  const type = "application/octet-stream";
  const url = URL.createObjectURL(new Blob([new Uint8Array(bytes)], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
