import type { ErrorData } from "../../../graph-builder/errors.ts";

/** How a rank that ended before the others says goodbye to them. */
export interface Farewell {
  /** The exit code of its process; 0 where it has done its work. */
  readonly code: number;
  /** Why it ended; empty where it has done its work. */
  readonly reason: string;
}

/** Another rank has failed or died, which ends the run on all of them. `details` say which, and why. */
export class RankError extends Error implements ErrorData {
  override readonly name = "RankError";
  readonly code = "rank-failed";
  readonly details: Readonly<Record<string, unknown>>;
  /** The exit code of the run. */
  readonly exitCode: number;
  /** Whether the rank has said itself why it ended; one that died has not. */
  readonly isTold: boolean;

  constructor(rank: string, { code, reason }: Farewell, isTold: boolean) {
    super(isTold ? `${rank} failed: ${reason}` : `${rank} ${reason}.`);
    this.exitCode = code;
    this.isTold = isTold;
    this.details = { rank, reason, exitCode: code };
  }
}
