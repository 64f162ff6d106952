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
  /** The name of the rank, and how it ended. */
  readonly rank: string;
  readonly farewell: Farewell;
  /** The exit code of the run. */
  readonly exitCode: number;
  /** Whether the rank has said itself why it ended; one that died has not. */
  readonly isTold: boolean;

  /** What to do now; where a rank has died, it is a part of the message. */
  readonly advice: string | undefined;

  constructor(rank: string, { code, reason }: Farewell, isTold: boolean, advice?: string) {
    const sentence = isTold ? `${rank} failed: ${reason}` : `${rank} ${reason}.`;
    super(advice === undefined ? sentence : `${sentence} ${advice}`);
    this.rank = rank;
    this.farewell = { code, reason };
    this.advice = advice;
    this.exitCode = code;
    this.isTold = isTold;
    this.details = { rank, reason, exitCode: code };
  }

  /** The same error with what to do now. */
  withAdvice(advice: string): RankError {
    return new RankError(this.rank, this.farewell, this.isTold, advice);
  }
}
