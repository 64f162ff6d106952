/** A range of an axis and the values at which it has marks. */
export interface Axis {
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly number[];
}

/**
 * An axis over a range with about `count` marks at multiples of 1, 2 or 5 times a power of ten. `smallest` is
 * the smallest distance of two marks: 1 for steps, which are whole.
 */
export function axisOver(from: number, to: number, count: number, smallest = 0): Axis {
  const range = to > from ? to - from : 1;
  const rough = range / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= rough) ?? 10;
  const distance = Math.max(smallest, factor * power);
  const first = Math.ceil(from / distance - 1e-9);
  const last = Math.floor((from + range) / distance + 1e-9);
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * distance);
  return { from, to: from + range, ticks };
}

/** An axis as `axisOver` makes it, which ends at a mark: nothing is drawn above its last one. */
export function axisToMark(from: number, to: number, count: number): Axis {
  const { ticks, ...axis } = axisOver(from, to, count);
  const [first = from, second = axis.to] = ticks;
  const last = ticks.at(-1) ?? from;
  const end = last + second - first;
  return axis.to > last + 1e-9 * end ? { from, to: end, ticks: [...ticks, end] } : { ...axis, ticks };
}

/** A mark's number, with as many decimals as the marks need to differ. */
export function tickText(value: number, { ticks }: Axis): string {
  const [first = 0, second = first + 1] = ticks;
  const decimals = Math.max(0, -Math.floor(Math.log10(second - first) + 1e-9));
  return value.toFixed(decimals);
}
