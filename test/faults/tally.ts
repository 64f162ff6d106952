/** What came of one trial. Only the first two are good. */
export const outcomes = [
  "right",
  "a sentence",
  "silently other",
  "lost",
  "left behind",
  "stack trace",
  "crash",
  "hang",
] as const;
export type Outcome = (typeof outcomes)[number];

/** A trial that ended badly, with what repeats it. */
export interface Failure {
  readonly kind: string;
  readonly outcome: Outcome;
  readonly what: string;
}

/** Counts outcomes by kind of trial. */
export class Tally {
  readonly #counts = new Map<string, Map<Outcome, number>>();
  readonly failures: Failure[] = [];

  add(kind: string, outcome: Outcome, what: string): void {
    const counts = this.#counts.get(kind) ?? new Map<Outcome, number>();
    this.#counts.set(kind, counts.set(outcome, (counts.get(outcome) ?? 0) + 1));
    if (outcome === "right" || outcome === "a sentence") return;
    this.failures.push({ kind, outcome, what });
    process.stderr.write(`${kind}: ${outcome}: ${what}\n`);
  }

  /** The counts as a table of Markdown. */
  table(): string {
    const rows = [...this.#counts].map(([kind, counts]) => {
      const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
      return [kind, total, ...outcomes.map((outcome) => counts.get(outcome) ?? 0)];
    });
    const header = ["kind", "trials", ...outcomes];
    const lines = [header, header.map((_, i) => (i === 0 ? "---" : "---:")), ...rows];
    return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
  }
}
