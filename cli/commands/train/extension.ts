import { counted } from "../../../artifacts/counted.ts";
import type { Checkpoint } from "../../../artifacts/index.ts";
import { scheduleOf } from "../../../runtime/index.ts";
import type { TrainConfig } from "./prepared-run.ts";

/** Whether a resumed run is asked for more epochs than it was made for. */
export function isExtended(
  { epochs }: Pick<TrainConfig, "epochs">,
  given: { readonly epochs?: number | undefined },
) {
  return given.epochs !== undefined && given.epochs > epochs;
}

/** What other settings mean for a run that goes on from a checkpoint, in sentences. */
export function resumeNotes(
  own: TrainConfig,
  config: TrainConfig,
  checkpoint: Checkpoint,
): readonly string[] {
  return [...rateNotes(own, config, checkpoint), ...shareNotes(own, config)];
}

/** What other ranks mean for the shares of a batch, and for the result. */
function shareNotes(own: TrainConfig, config: TrainConfig): readonly string[] {
  const sessions = ({ replicas, ranks = 1 }: TrainConfig) => replicas * ranks;
  const [before, now] = [sessions(own), sessions(config)];
  if (before === now) return [];
  const images = (of: TrainConfig) => Math.ceil(of.batchSize / sessions(of));
  const { batchSize } = config;
  return [
    `The run goes on with ${describeSessions(config)} instead of ${describeSessions(own)}: each batch of ${batchSize} is divided by ${now}, so batch normalisation sees ${images(config)} images instead of ${images(own)}, and the result is not that of the uncut run.`,
  ];
}

function describeSessions({ replicas, ranks = 1 }: TrainConfig): string {
  if (ranks === 1) return counted(replicas, "replica");
  return `${counted(ranks, "rank")}${replicas > 1 ? ` of ${counted(replicas, "replica")}` : ""}`;
}

/** What other settings mean for the learning rate. */
function rateNotes(own: TrainConfig, config: TrainConfig, { properties }: Checkpoint): readonly string[] {
  const done = Number(properties.get("epoch") ?? 0);
  const rate = (of: TrainConfig) =>
    Number(scheduleOf(of)(Math.min(done, of.epochs), of.epochs).toPrecision(3));
  const instead = `the learning rate is ${rate(config)} at this place, not ${rate(own)}.`;
  const from = `The run goes on from epoch ${done}`;
  if (isExtended(own, config)) {
    return [
      `${from} to ${config.epochs}. Its schedule now counts ${counted(config.epochs, "epoch")} instead of ${own.epochs}, so ${instead}`,
    ];
  }
  if (config.learningRate === own.learningRate) return [];
  return [
    `${from} with a highest learning rate of ${config.learningRate} instead of ${own.learningRate}: ${instead}`,
  ];
}
