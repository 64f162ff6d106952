import type { ClassificationRecord } from "../../runtime/data/classification-task.ts";
import type { TrainingHistory } from "../calls/training.ts";
import { Chart, type Line } from "./chart.ts";
import { find, make } from "./dom.ts";
import { RecentMean } from "./recent-mean.ts";

type Point = TrainingHistory["points"][number];

/** The span of the moving averages, in steps. */
const SPAN = 10;

const lines: readonly Line[] = [
  { label: "training", color: "--training" },
  { label: "test", color: "--test", isSparse: true },
];

/** The curves of a training, and its epochs as a table. */
export class TrainingCharts {
  readonly #loss = new Chart(find("loss-chart", HTMLDivElement), { title: "Loss", lines });
  readonly #accuracy = new Chart(find("accuracy-chart", HTMLDivElement), {
    title: "Accuracy in percent",
    lines,
    range: [0, 100],
  });
  readonly #table = find("epochs-table", HTMLTableSectionElement);
  #recent = { loss: new RecentMean(SPAN), accuracy: new RecentMean(SPAN) };

  /** Empties the curves for a training of some steps. */
  clear(steps: number): void {
    this.#loss.clear(steps);
    this.#accuracy.clear(steps);
    this.#table.replaceChildren();
    this.#recent = { loss: new RecentMean(SPAN), accuracy: new RecentMean(SPAN) };
  }

  /** Adds a step. Returns the moving averages, which the curves show. */
  addStep({ step, loss, accuracy }: Point): { readonly loss: number; readonly accuracy: number } {
    const means = { loss: this.#recent.loss.add(loss), accuracy: this.#recent.accuracy.add(accuracy) };
    this.#loss.add(step, [means.loss]);
    this.#accuracy.add(step, [means.accuracy]);
    return means;
  }

  addEpoch(record: ClassificationRecord): void {
    const { epoch, step, train_loss, test_loss, train_accuracy, test_accuracy } = record;
    this.#loss.add(step, [undefined, test_loss]);
    this.#accuracy.add(step, [undefined, test_accuracy]);
    const percents = [train_accuracy, test_accuracy].map((percent) => percent.toFixed(1));
    const losses = [train_loss, test_loss].map((loss) => loss.toFixed(3));
    const cells = [epoch, step, ...losses, ...percents].map((text) => make("td", "", String(text)));
    this.#table.append(make("tr", "", ...cells));
  }
}
