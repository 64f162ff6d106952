import { percent } from "./bars.ts";
import { make } from "./dom.ts";

const BINS = 20;

/** How often a probability was drawn in each twentieth from 0 to 100 %. */
export function showHistogram(place: HTMLElement, values: readonly number[], name: string): void {
  const counts = new Array<number>(BINS).fill(0);
  for (const value of values) {
    const bin = Math.min(BINS - 1, Math.floor(value * BINS));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const most = Math.max(1, ...counts);
  const bars = counts.map((count, i) => {
    const bar = make("span", "bin");
    bar.style.setProperty("--share", String(count / most));
    bar.title = `${percent(i / BINS)} to ${percent((i + 1) / BINS)}: ${count}`;
    return bar;
  });
  const drawing = make("div", "bins", ...bars);
  drawing.setAttribute("role", "img");
  const [least, largest] = [Math.min(...values), Math.max(...values)];
  drawing.setAttribute(
    "aria-label",
    values.length === 0
      ? "No draws yet"
      : `Histogram of the probability of ${name} in ${values.length} draws, from ${percent(least)} to ${percent(largest)}`,
  );
  const axis = make(
    "p",
    "axis",
    ...["0 %", `probability of ${name}`, "100 %"].map((text) => make("span", "", text)),
  );
  place.replaceChildren(drawing, axis);
}
