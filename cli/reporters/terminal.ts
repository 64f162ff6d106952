import type { ClassificationEvent, ClassificationRecord } from "../../runtime/index.ts";
import type { measuredPart } from "../data/part-name.ts";
import { formatRate, formatSeconds } from "../format.ts";
import type { Progress } from "../progress.ts";
import type { Reporter } from "./reporter.ts";

type StepEvent = Extract<ClassificationEvent, { type: "step" }>;

/** What the lines of a run say beside its events. */
export interface RunLines {
  readonly epochs: number;
  /** The part of the data that the run measures itself on. */
  readonly part: ReturnType<typeof measuredPart>;
}

/** Shows a run on the terminal: a live line of the step, and a line for every epoch. */
export function terminalReporter(progress: Progress, lines: RunLines): Reporter {
  return {
    report(event) {
      if (event.type === "step") progress.update(event.step, event.steps, stepLine(event, lines));
      else if (event.type === "evaluation")
        progress.update(event.done, event.of, `${lines.part} images: ${event.done} of ${event.of}`);
      else if (event.type === "epoch") progress.log(epochLine(event.record, lines, event.isBest));
    },
  };
}

/** The live line of a step at falling lengths. All of them say the epoch and the time left. */
export function stepLine(event: StepEvent, { epochs }: Pick<RunLines, "epochs">): readonly string[] {
  const { loss, accuracy } = event.metrics;
  const parts = [
    { text: `epoch ${event.epoch}/${epochs}`, rank: 0 },
    { text: `step ${event.step}/${event.steps}`, rank: 5 },
    { text: `loss ${loss.toFixed(3)}`, rank: 2 },
    { text: `${accuracy.toFixed(1)} %`, rank: 3 },
    { text: `${formatRate(event.examplesPerSecond)} images/s`, rank: 1 },
    { text: `lr ${event.learningRate.toPrecision(3)}`, rank: 4 },
    { text: `${formatSeconds(event.secondsLeft)} left`, rank: 0 },
  ];
  return [5, 4, 3, 2, 1, 0].map((most) =>
    parts
      .filter(({ rank }) => rank <= most)
      .map(({ text }) => text)
      .join("  "),
  );
}

/** The line of an epoch at falling lengths. All of them say how well the run does. */
export function epochLine(
  record: ClassificationRecord,
  { epochs, part }: RunLines,
  isBest: boolean,
): readonly string[] {
  const epoch = `epoch ${record.epoch}/${epochs}`;
  const train = `train ${record.train_accuracy.toFixed(2)} %`;
  const test = `${part} ${record.test_accuracy.toFixed(2)} %`;
  const [trainLoss, testLoss] = [record.train_loss.toFixed(3), record.test_loss.toFixed(3)];
  const rate = `${formatRate(record.images_per_second)} images/s`;
  const [time, best] = [formatSeconds(record.seconds), ...(isBest ? ["best"] : [])];
  const end = best === undefined ? [] : [best];
  return [
    [epoch, `${train} (loss ${trainLoss})`, `${test} (loss ${testLoss})`, rate, time, ...end],
    [epoch, `${train} (loss ${trainLoss})`, `${test} (loss ${testLoss})`, time, ...end],
    [epoch, `${train} (${trainLoss})`, `${test} (${testLoss})`, time, ...end],
    [epoch, train, test, time, ...end],
    [epoch, test, ...end],
  ].map((parts) => parts.join("  "));
}
