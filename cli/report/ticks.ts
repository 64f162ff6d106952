/** An axis of a chart: its ends, and the numbers that are written beside it. */
export interface Axis {
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly number[];
}

/** An axis of about `count` round numbers, whose ends are the outer ones. */
export function roundAxis(values: Iterable<number>, count: number): Axis {
  const [least, most] = extent(values);
  const step = roundStep((most - least || Math.abs(most) || 1) / count);
  const [first, last] = [Math.floor(least / step + 1e-9), Math.ceil(most / step - 1e-9)];
  const ticks = multiples(first, Math.max(last, first + 1), step);
  return { from: ticks[0] ?? least, to: ticks.at(-1) ?? most, ticks };
}

/** An axis that ends where the values do, with about `count` whole numbers between. */
export function wholeAxis(values: Iterable<number>, count: number): Axis {
  const [from, to] = extent(values);
  const step = Math.max(1, Math.ceil(roundStep((to - from || 1) / count)));
  return { from, to, ticks: multiples(Math.ceil(from / step), Math.floor(to / step), step) };
}

/** An axis with a tick at each of the values. */
export function pointsAxis(values: Iterable<number>): Axis {
  const ticks = [...new Set(values)].toSorted((a, b) => a - b);
  return { from: ticks[0] ?? 1, to: ticks.at(-1) ?? 1, ticks };
}

/** The place of a value of a logarithmic axis of positive numbers between two ends in pixels. */
export function placeOnLogarithmic({ from, to, ticks }: Axis, ends: readonly [number, number]) {
  const place = placeOn({ from: Math.log(from), to: Math.log(to), ticks }, ends);
  return (value: number) => place(Math.log(value));
}

/** The place of a value of an axis between two ends in pixels; the middle where the axis has no length. */
export function placeOn({ from, to }: Axis, [start, end]: readonly [number, number]) {
  const span = to - from;
  return (value: number) =>
    span === 0 ? (start + end) / 2 : start + ((value - from) / span) * (end - start);
}

/** The smallest of 1, 2, 2.5, 5 and 10 times a power of ten that is no smaller. */
function roundStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return ([1, 2, 2.5, 5].find((step) => step * power >= least) ?? 10) * power;
}

function multiples(first: number, last: number, step: number): number[] {
  const count = Math.max(0, last - first + 1);
  return Array.from({ length: count }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** The smallest and the largest value; 0 and 1 where there is none. */
function extent(values: Iterable<number>): readonly [number, number] {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return least <= most ? [least, most] : [0, 1];
}
