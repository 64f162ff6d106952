import type { ClassificationEvent, ClassificationRecord } from "../../runtime/index.ts";
import { formatRate, formatSeconds } from "../format.ts";
import type { Progress } from "../progress.ts";
import type { Reporter } from "./reporter.ts";

type StepEvent = Extract<ClassificationEvent, { type: "step" }>;

/** Shows a run of `epochs` on the terminal: a live line of the step, and a line for every epoch. */
export function terminalReporter(progress: Progress, epochs: number): Reporter {
  return {
    report(event) {
      if (event.type === "step") progress.update(event.step, event.steps, describeStep(event, epochs));
      else if (event.type === "evaluation")
        progress.update(event.done, event.of, `testing ${event.done} of ${event.of}`);
      else if (event.type === "epoch") progress.log(describeEpoch(event.record, epochs, event.isBest));
    },
  };
}

function describeStep(event: StepEvent, epochs: number): string {
  return [
    `epoch ${event.epoch}/${epochs}`,
    `step ${event.step}/${event.steps}`,
    `loss ${event.metrics.loss.toFixed(3)}`,
    `${event.metrics.accuracy.toFixed(1)} %`,
    `${formatRate(event.examplesPerSecond)} images/s`,
    `lr ${event.learningRate.toPrecision(3)}`,
    `${formatSeconds(event.secondsLeft)} left`,
  ].join("  ");
}

function describeEpoch(record: ClassificationRecord, epochs: number, isBest: boolean): string {
  return [
    `epoch ${record.epoch}/${epochs}`,
    `train ${record.train_accuracy.toFixed(2)} % (loss ${record.train_loss.toFixed(3)})`,
    `test ${record.test_accuracy.toFixed(2)} % (loss ${record.test_loss.toFixed(3)})`,
    `${formatRate(record.images_per_second)} images/s`,
    `${formatSeconds(record.seconds)}${isBest ? "  best" : ""}`,
  ].join("  ");
}
