import uPlot from "uplot";

/**
 * A line of a chart: its label, the CSS variable of its colour, and whether its few points are drawn as
 * dots.
 */
export interface Line {
  readonly label: string;
  readonly color: string;
  readonly isSparse?: boolean;
}

const HEIGHT = 200;

/** A chart over training steps, in the page's colours and as wide as its element. */
export class Chart {
  readonly #plot: uPlot;
  readonly #steps: number[] = [];
  readonly #values: (number | null)[][];
  #isDrawing = false;

  constructor(place: HTMLElement, lines: readonly Line[], range?: readonly [number, number]) {
    this.#values = lines.map(() => []);
    const color = (name: string) => () => getComputedStyle(place).getPropertyValue(name);
    const axis = {
      stroke: color("--quiet"),
      grid: { stroke: color("--line"), width: 1 },
      ticks: { stroke: color("--line"), width: 1 },
    };
    const series = lines.map(({ label, color: name, isSparse = false }) => ({
      label,
      stroke: color(name),
      width: 2,
      spanGaps: true,
      points: { show: isSparse, size: 8, fill: color(name) },
      value: (_: uPlot, value: number | null) => (value === null ? "–" : value.toPrecision(3)),
    }));
    const options: uPlot.Options = {
      width: 300,
      height: HEIGHT,
      scales: { x: { time: false }, ...(range ? { y: { range: [range[0], range[1]] } } : {}) },
      axes: [
        axis,
        {
          ...axis,
          size: (_, labels) => 16 + 7.5 * Math.max(3, ...(labels ?? []).map((label) => label.length)),
        },
      ],
      series: [{ label: "step" }, ...series],
      legend: { live: false },
      cursor: { y: false },
    };
    this.#plot = new uPlot(options, [[], ...lines.map(() => [])], place);
    new ResizeObserver(() => {
      if (place.clientWidth > 0) this.#plot.setSize({ width: place.clientWidth, height: HEIGHT });
    }).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#plot.redraw());
  }

  clear(): void {
    this.#steps.length = 0;
    for (const values of this.#values) values.length = 0;
    this.#draw();
  }

  /** Adds the values of the lines at a step; undefined leaves a line without a point. */
  add(step: number, values: readonly (number | undefined)[]): void {
    if (this.#steps.at(-1) !== step) {
      this.#steps.push(step);
      for (const line of this.#values) line.push(null);
    }
    for (const [i, value] of values.entries()) {
      const line = this.#values[i];
      if (line && value !== undefined) line[line.length - 1] = value;
    }
    this.#draw();
  }

  /** Redraws the chart, at most once a frame. */
  #draw(): void {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#plot.setData([this.#steps, ...this.#values]);
    });
  }
}
