import { UserError } from "../../../graph-builder/errors.ts";
import { kebabCase } from "../../../runtime/node/run/schema.ts";
import type { ShakeNetArtifacts } from "../../../shakenet/index.ts";
import type { ShakeNetRun } from "../../../shakenet/node/run.ts";
import { type GivenRun, type RunConfig, settingOf } from "../../../shakenet/node/run-config.ts";

/**
 * A run before its first step. Its folder is created or changed last, after everything else has succeeded.
 */
export interface PreparedRun {
  readonly config: RunConfig;
  readonly artifacts: ShakeNetArtifacts;
  /** Makes or opens the folder. The checkpoint is the first one of a new run. */
  readonly openDirectory: (checkpoint: Uint8Array) => Promise<ShakeNetRun>;
  /** The checkpoint's path in errors. */
  readonly where: string;
}

/**
 * Throws UserError for a setting that differs from its fixed value, unless it is one of `free`.
 */
export function refuseContradictions(
  given: GivenRun,
  fixed: GivenRun,
  where: string,
  free: readonly string[] = [],
): void {
  for (const [name, value] of Object.entries(given)) {
    const own = settingOf(fixed, name);
    if (free.includes(name) || !(name in fixed) || own === value) continue;
    const flag = kebabCase(name);
    throw new UserError(`--${flag} ${value} contradicts ${where}, which has ${flag} ${own}: leave it out.`, {
      code: "setting-conflict",
      details: { setting: name, value, fixed: own },
    });
  }
}
