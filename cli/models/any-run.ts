import { networkTitle } from "../../shakenet/index.ts";
import { openRun, type ShakeNetRun } from "../../shakenet/node/run.ts";
import { findModelRun, type ModelRun } from "./model-run.ts";

/** A run of either kind. */
export type AnyRun = ShakeNetRun | ModelRun;

/** Opens a run of either kind. Throws UserError where there is none, and where its settings are damaged. */
export async function openAnyRun(path: string): Promise<AnyRun> {
  return (await findModelRun(path)) ?? (await openRun(path));
}

/** What a run trains, for people. */
export function networkOfRun({ config }: Pick<AnyRun, "config">): string {
  return "feeding" in config ? config.model : networkTitle(config);
}
