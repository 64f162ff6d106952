import { UserError } from "../graph-builder/errors.ts";
import { shown } from "../graph-builder/visible.ts";

/** Throws UserError for a learning rate, or the setting of one, that is no number from 0. */
export function expectRate(rate: number, setting?: string): void {
  if (Number.isFinite(rate) && rate >= 0) return;
  throw new UserError(`${setting ?? "The learning rate"} is ${shown(rate)}, and must be a number from 0.`, {
    code: "setting-invalid",
    details: { setting: setting ?? "learningRate", value: rate },
  });
}
