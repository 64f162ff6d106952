/** The kinds of mistake that a program can tell apart. */
export type ErrorCode =
  | "argument-unexpected"
  | "bindings-damaged"
  | "checkpoint-damaged"
  | "command-unknown"
  | "data-mismatch"
  | "data-unknown"
  | "device-refused"
  | "diverged"
  | "file-damaged"
  | "file-missing"
  | "file-unreadable"
  | "file-unwritable"
  | "input-missing"
  | "input-shape"
  | "input-type"
  | "learning-rate-fixed"
  | "manifest-damaged"
  | "metrics-damaged"
  | "model-damaged"
  | "model-missing"
  | "model-unsupported"
  | "network-unknown"
  | "onnxruntime-failed"
  | "output-type"
  | "output-unknown"
  | "package-missing"
  | "parameter-shape"
  | "parameter-type"
  | "parameter-unknown"
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
  | "source-unreachable";

/** What an error says to a program: its kind, and the names and numbers of its sentence. */
export interface ErrorData {
  readonly code?: ErrorCode | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * A mistake of the person who called us: a wrong setting, a broken file, a diverged run.
 * The command line prints its message as one sentence and exits with code 2; every other error is a bug and prints its stack.
 */
export class UserError extends Error implements ErrorData {
  override readonly name = "UserError";
  readonly code: ErrorCode | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(message: string, { code, details = {}, ...options }: ErrorOptions & ErrorData = {}) {
    super(message, options);
    this.code = code;
    this.details = details;
  }
}

/** The candidate with the fewest slips of the pen from `name`, or undefined where none is near enough to be meant. */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/** " Did you mean x?" for the nearest candidate, or an empty string: to be appended to an error's sentence. */
export function didYouMean(name: string, candidates: Iterable<string>): string {
  const nearest = nearestName(name, candidates);
  return nearest === undefined ? "" : ` Did you mean ${nearest}?`;
}

/** Insertions, deletions, substitutions and exchanges of neighbours between two words (optimal string alignment). */
function editDistance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  const at = (i: number, j: number) => rows[i]?.[j] ?? 0;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const substitution = at(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isExchange = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const exchange = isExchange ? at(i - 2, j - 2) + 1 : substitution;
      row.push(Math.min(substitution, exchange, at(i - 1, j) + 1, at(i, j - 1) + 1));
    }
  }
  return at(a.length, b.length);
}
