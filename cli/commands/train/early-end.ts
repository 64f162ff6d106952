import { counted } from "../../../artifacts/counted.ts";
import { countIn } from "../../../artifacts/index.ts";
import { scheduleOf } from "../../../runtime/index.ts";
import { isThere } from "../../../runtime/node/files.ts";
import { measuredPart } from "../../data/part-name.ts";
import { shakeCommand } from "../../invocation.ts";
import { resumeCommand } from "./failure.ts";
import { Patience } from "./patience.ts";
import type { TrainConfig, TrainRun } from "./prepared-run.ts";
import type { StopReason } from "./stopping.ts";

/** Why a run has ended before its last epoch, what that means for its schedule, and how to go on. */
export async function describeStop(
  reason: StopReason,
  directory: TrainRun,
  stepsPerEpoch: number,
): Promise<string> {
  const { config } = directory;
  const where = directory.checkpointPath("last");
  const step = countIn((await directory.checkpoint("last")).properties, "step", where) ?? 0;
  const schedule = scheduleNote(config, step, stepsPerEpoch);
  if (reason !== "patience") {
    const at = `The time of --max-time is over after step ${step} of ${config.epochs * stepsPerEpoch}.`;
    return `${at} ${schedule} To go on:\n  ${resumeCommand(directory)}`;
  }
  const records = await directory.records();
  const { best } = new Patience(undefined, records);
  const [epoch, more] = [records.at(-1)?.epoch ?? 0, String(2 * (config.patienceEpochs ?? 1))];
  const found = best
    ? `Epoch ${best.epoch} has the best ${measuredPart(config)} accuracy, ${best.test_accuracy.toFixed(2)} %, and ${counted(config.patienceEpochs ?? 1, "epoch")} brought no better one`
    : `No epoch has a finite ${measuredPart(config)} loss`;
  // there is none where no loss was finite, and where a run went back behind its best epoch
  const isBestKept = await isThere(directory.checkpointPath("best"));
  return [
    `${found}: the run ends after epoch ${epoch} of ${config.epochs}. ${schedule} To go on:`,
    `  ${resumeCommand(directory, "--patience-epochs", more)}`,
    ...(isBestKept
      ? [
          "To export the best epoch instead of the last one:",
          `  ${shakeCommand("export", directory.path, "--checkpoint", "best", "--out", "best.onnx")}`,
        ]
      : []),
  ].join("\n");
}

/** What an early end means for the learning rate, in a sentence. */
function scheduleNote(config: TrainConfig, step: number, stepsPerEpoch: number): string {
  const steps = config.epochs * stepsPerEpoch;
  const schedule = scheduleOf(config);
  const [rate, end] = [schedule(step, steps), schedule(steps, steps)].map((each) =>
    Number(each.toPrecision(3)),
  );
  if (rate === end) return `The learning rate was ${rate}, as at the end of the schedule.`;
  const epochs = Math.max(1, Math.floor(step / stepsPerEpoch));
  return `The learning rate was still ${rate}, because the schedule counts ${counted(config.epochs, "epoch")}: with --epochs ${epochs} it would have fallen to ${end} by now.`;
}
