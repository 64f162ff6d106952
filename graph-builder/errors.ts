import { at } from "./at.ts";
import { visibleName } from "./visible.ts";

/** The kinds of error that a program can distinguish. */
export type ErrorCode =
  | "argument-unexpected"
  | "artifacts-mismatch"
  | "bindings-damaged"
  | "browser-unsupported"
  | "camera-refused"
  | "checkpoint-damaged"
  | "command-unknown"
  | "data-damaged"
  | "data-invalid"
  | "data-mismatch"
  | "data-missing"
  | "data-unknown"
  | "device-refused"
  | "device-unknown"
  | "diverged"
  | "download-failed"
  | "file-damaged"
  | "file-missing"
  | "file-unreadable"
  | "file-unwritable"
  | "gradients-missing"
  | "input-missing"
  | "input-shape"
  | "input-type"
  | "input-value"
  | "interrupted"
  | "label-invalid"
  | "launcher-damaged"
  | "launcher-unsupported"
  | "learning-rate-fixed"
  | "locked"
  | "manifest-damaged"
  | "metrics-damaged"
  | "model-damaged"
  | "model-mismatch"
  | "model-missing"
  | "model-unsupported"
  | "mpi-failed"
  | "mpi-mismatch"
  | "mpi-missing"
  | "network-unknown"
  | "onnxruntime-failed"
  | "output-type"
  | "output-unknown"
  | "package-mismatch"
  | "package-missing"
  | "parameter-shape"
  | "parameter-type"
  | "parameter-unknown"
  | "picture-unreadable"
  | "rank-failed"
  | "ranks-differ"
  | "replica-failed"
  | "replicas-unsupported"
  | "run-exists"
  | "run-missing"
  | "session-busy"
  | "session-released"
  | "setting-conflict"
  | "setting-invalid"
  | "setting-missing"
  | "setting-unknown"
  | "source-missing"
  | "source-unreachable"
  | "thread-died"
  | "timed-out"
  | "value-type"
  | "value-unknown";

/** The data of an error for programs: its code, and the names and numbers in its message. */
export interface ErrorData {
  readonly code: ErrorCode;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * An error that the user can correct: a wrong setting, a damaged file, a diverged run. The command line
 * prints the message as one sentence and exits with code 2. Any other error is a bug, and the command line
 * prints its stack. The message is one line: the control characters of names and paths in it are escaped.
 * `details` has them as they are.
 */
export class UserError extends Error implements ErrorData {
  override readonly name = "UserError";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(message: string, { code, details = {}, ...options }: ErrorOptions & ErrorData) {
    super(visibleName(message), options);
    this.code = code;
    this.details = details;
  }
}

/**
 * Returns the candidate with the smallest edit distance to `name`, ignoring case; undefined where the
 * smallest distance is more than a third of the name's length (and more than 1), and for what a program
 * without types gives in the place of a name.
 */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  if (typeof name !== "string") return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/**
 * Returns " Did you mean x?" for the nearest candidate, to append to a message; an empty string where there
 * is none.
 */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  const nearest = nearestName(name, candidates);
  return nearest === undefined ? "" : ` Did you mean ${nearest}?`;
}

/**
 * The number of insertions, deletions, substitutions and exchanges of neighbours between two words (the
 * optimal string alignment distance).
 */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const distance = (i: number, j: number) => at(at(rows, i), j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const substitution = distance(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isExchange = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const exchange = isExchange ? distance(i - 2, j - 2) + 1 : substitution;
      row.push(Math.min(substitution, exchange, distance(i - 1, j) + 1, distance(i, j - 1) + 1));
    }
  }
  return distance(a.length, b.length);
}
