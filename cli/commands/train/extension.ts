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

/** What more epochs mean for the learning rate of a run, in a sentence. */
export function extensionNote(own: TrainConfig, config: TrainConfig, { properties }: Checkpoint): string {
  const done = Number(properties.get("epoch") ?? 0);
  const rate = (of: TrainConfig) =>
    Number(scheduleOf(of)(Math.min(done, of.epochs), of.epochs).toPrecision(3));
  return `The run goes on from epoch ${done} to ${config.epochs}. Its schedule now counts ${config.epochs} epochs instead of ${own.epochs}, so the learning rate is ${rate(config)} at this place, not ${rate(own)}.`;
}
