import { visibleName } from "../graph-builder/visible.ts";

/** Lines of text columns: numbers to the right, the rest to the left, two spaces between. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string {
  const lines = [header, ...rows.map((row) => row.map(formatCell))];
  const widths = header.map((_, i) => longest(lines.map((line) => line[i] ?? "")));
  const isRight = header.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === "number"));
  return lines
    .map((line) =>
      line
        .map((cell, i) => (isRight[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** Lines of names and values, for example of a summary. */
export function formatFields(fields: Readonly<Record<string, string | number | undefined>>): string {
  const all = Object.entries(fields).map(([name, value]) => [visibleName(name), value] as const);
  const known = all.filter(([, value]) => value !== undefined);
  const width = longest(known.map(([name]) => name));
  return known.map(([name, value]) => `${name.padEnd(width)}  ${formatCell(value ?? "")}`).join("\n");
}

/**
 * The length of the longest text. A call of Math.max with more than about 100,000 arguments overflows the
 * stack.
 */
function longest(texts: readonly string[]): number {
  return texts.reduce((most, { length }) => Math.max(most, length), 0);
}

function formatCell(cell: string | number): string {
  return typeof cell === "number" ? cell.toLocaleString("en-US") : visibleName(cell);
}

/** A count with its thousand, million or billion: 12.3 M. */
export function formatLarge(value: number): string {
  const [divisor, unit] =
    value >= 1e9 ? [1e9, " G"] : value >= 1e6 ? [1e6, " M"] : value >= 1e3 ? [1e3, " k"] : [1, ""];
  return `${Number((value / divisor).toPrecision(3))}${unit}`;
}

/** Images a second, with a decimal where there are few. */
export function formatRate(rate: number): string {
  return rate < 10 ? rate.toFixed(1) : rate.toFixed(0);
}

/** A time in two digits where it is below ten seconds: 43 ms, 690 ms, 1.2 s, 42 s. */
export function formatShortTime(seconds: number): string {
  const milliseconds = Number((1000 * seconds).toPrecision(2));
  if (milliseconds < 1000) return `${milliseconds} ms`;
  return milliseconds < 10_000 ? `${milliseconds / 1000} s` : formatSeconds(seconds);
}

/** A time as people say it: 42 s, 3 min 05 s, 2 h 14 min. */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}
