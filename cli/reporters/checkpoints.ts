import type { TrainRun } from "../commands/train/prepared-run.ts";
import type { Reporter } from "./reporter.ts";

/**
 * Keeps the checkpoints of epochs, as --save-every and --checkpoint-hist say. What a killed process did not
 * keep is kept when the run goes on, because that begins with a checkpoint of the same step.
 */
export function checkpointsReporter(directory: TrainRun, stepsPerEpoch: number): Reporter {
  const { saveEvery, checkpointHist } = directory.config;
  const every = saveEvery ?? (checkpointHist === undefined ? Number.POSITIVE_INFINITY : 1);
  return {
    async report(event) {
      if (event.type !== "checkpoint" || event.kind !== "last" || event.step === 0) return;
      const epoch = event.step / stepsPerEpoch;
      if (Number.isInteger(epoch) && epoch % every === 0) await directory.keepEpoch(epoch, checkpointHist);
    },
  };
}
