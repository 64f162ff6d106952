import { at } from "../../graph-builder/at.ts";
import { type Axis, axisOver, axisToMark, tickText } from "./chart-axis.ts";
import { make } from "./dom.ts";

/**
 * A line of a chart: its label, the CSS variable of its colour, and whether its few points are drawn as
 * dots.
 */
export interface Line {
  readonly label: string;
  readonly color: string;
  readonly isSparse?: boolean;
}

/** What a chart shows: the name of its values, its lines, and the range of its values where it is fixed. */
export interface ChartSettings {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly range?: readonly [from: number, to: number];
}

interface Point {
  readonly step: number;
  readonly value: number;
}

/** The width and the height of the drawing in CSS pixels, and its scales. */
interface Frame {
  readonly width: number;
  readonly x: Axis;
  readonly y: Axis;
  readonly placeX: (step: number) => number;
  readonly placeY: (value: number) => number;
}

const HEIGHT = 200;
const MARGIN = { left: 40, right: 12, top: 8, bottom: 26 };
const EMPTY_STEPS = 100;

/**
 * A chart over training steps, in the page's colours and as wide as its element. Without values it has axes.
 */
export class Chart {
  readonly #canvas = make("canvas", "chart");
  readonly #legend: readonly HTMLElement[];
  readonly #settings: ChartSettings;
  readonly #points: Point[][];
  #steps = 0;
  #pointer: number | undefined;
  #isDrawing = false;

  constructor(place: HTMLElement, settings: ChartSettings) {
    this.#settings = settings;
    this.#points = settings.lines.map(() => []);
    this.#legend = settings.lines.map(() => make("output"));
    const items = settings.lines.map(({ label, color }, i) => {
      const item = make("span", "series", `${label} `, this.#legend[i] ?? "");
      item.style.setProperty("--series", `var(${color})`);
      return item;
    });
    this.#canvas.setAttribute("role", "img");
    place.replaceChildren(this.#canvas, make("p", "legend", ...items));
    new ResizeObserver(() => this.#draw()).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
    this.#canvas.addEventListener("pointermove", ({ offsetX }) => this.#point(offsetX));
    this.#canvas.addEventListener("pointerleave", () => this.#point(undefined));
    this.#draw();
  }

  /** Empties the chart for a training of `steps` steps; its axis has that length at once. */
  clear(steps = 0): void {
    this.#steps = steps;
    for (const points of this.#points) points.length = 0;
    this.#draw();
  }

  /** Adds the values of the lines at a step; undefined leaves a line without a point. */
  add(step: number, values: readonly (number | undefined)[]): void {
    for (const [i, value] of values.entries())
      if (value !== undefined) this.#points[i]?.push({ step, value });
    this.#draw();
  }

  #point(offsetX: number | undefined): void {
    this.#pointer = offsetX;
    this.#draw();
  }

  /** Redraws the chart, at most once a frame. */
  #draw(): void {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#canvas.setAttribute("aria-label", this.#description());
      const width = this.#canvas.clientWidth;
      if (width > 0) this.#paint(width);
    });
  }

  #paint(width: number): void {
    const scale = devicePixelRatio;
    this.#canvas.width = Math.round(width * scale);
    this.#canvas.height = Math.round(HEIGHT * scale);
    const context = this.#canvas.getContext("2d");
    if (!context) return;
    context.scale(scale, scale);
    const style = getComputedStyle(this.#canvas);
    const frame = this.#frame(width);
    drawAxes(context, frame, style);
    for (const [i, line] of this.#settings.lines.entries())
      drawLine(context, frame, line, at(this.#points, i), style.getPropertyValue(line.color));
    this.#showValues(context, frame, style);
  }

  #frame(width: number): Frame {
    const values = this.#points.flat();
    const [from, to] = this.#settings.range ?? [
      0,
      values.reduce((most, { value }) => Math.max(most, value), 0),
    ];
    const lastStep = values.reduce((most, { step }) => Math.max(most, step), this.#steps || 1);
    const x = axisOver(0, values.length === 0 && !this.#steps ? EMPTY_STEPS : lastStep, width / 80, 1);
    const y = axisToMark(from, to === from ? from + 1 : to, 5);
    const { left, right, top, bottom } = MARGIN;
    return {
      width,
      x,
      y,
      placeX: (step) => left + ((step - x.from) / (x.to - x.from)) * (width - left - right),
      placeY: (value) => HEIGHT - bottom - ((value - y.from) / (y.to - y.from)) * (HEIGHT - top - bottom),
    };
  }

  /** Shows in the legend the last values, or those at the pointer, which a line marks. */
  #showValues(context: CanvasRenderingContext2D, frame: Frame, style: CSSStyleDeclaration): void {
    const { x, placeX, placeY, width } = frame;
    const { left, right } = MARGIN;
    const pointer = this.#pointer;
    const share = pointer === undefined ? 1 : (pointer - left) / (width - left - right);
    const step = Math.round(x.from + Math.min(1, Math.max(0, share)) * (x.to - x.from));
    for (const [i, points] of this.#points.entries()) {
      const legend = this.#legend[i];
      const point = pointer === undefined ? points.at(-1) : nearest(points, step);
      if (legend) legend.textContent = point ? formatValue(point.value) : "–";
    }
    if (pointer === undefined || this.#points.every((points) => points.length === 0)) return;
    context.fillStyle = style.getPropertyValue("--quiet");
    context.fillRect(placeX(step), placeY(frame.y.to), 1, placeY(frame.y.from) - placeY(frame.y.to));
  }

  /** The chart in words, for screen readers. */
  #description(): string {
    const { title, lines } = this.#settings;
    const series = lines.map(({ label }, i) => {
      const [first, last] = [this.#points[i]?.[0], this.#points[i]?.at(-1)];
      if (!first || !last) return `${label}: no values yet`;
      return `${label}: ${formatValue(first.value)} at step ${first.step}, ${formatValue(last.value)} at step ${last.step}`;
    });
    return `${title} over steps. ${series.join(". ")}.`;
  }
}

function nearest(points: readonly Point[], step: number): Point | undefined {
  return points.reduce<Point | undefined>(
    (best, point) => (best && Math.abs(best.step - step) <= Math.abs(point.step - step) ? best : point),
    undefined,
  );
}

function formatValue(value: number): string {
  return value.toPrecision(3);
}

function drawAxes(
  context: CanvasRenderingContext2D,
  { width, x, y, placeX, placeY }: Frame,
  style: CSSStyleDeclaration,
) {
  const bottom = HEIGHT - MARGIN.bottom;
  context.font = `12px ${style.fontFamily}`;
  context.strokeStyle = style.getPropertyValue("--line");
  context.fillStyle = style.getPropertyValue("--quiet");
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const tick of y.ticks) {
    const place = Math.round(placeY(tick)) + 0.5;
    line(context, MARGIN.left, place, width - MARGIN.right, place);
    context.fillText(tickText(tick, y), MARGIN.left - 8, place);
  }
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const tick of x.ticks) {
    const place = Math.round(placeX(tick)) + 0.5;
    line(context, place, bottom, place, bottom + 4);
    context.fillText(tickText(tick, x), place, bottom + 8);
  }
  line(context, MARGIN.left, bottom + 0.5, width - MARGIN.right, bottom + 0.5);
}

function line(context: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

function drawLine(
  context: CanvasRenderingContext2D,
  { placeX, placeY }: Frame,
  { isSparse = false }: Line,
  points: readonly Point[],
  color: string,
): void {
  context.strokeStyle = context.fillStyle = color;
  context.lineWidth = 2;
  context.lineJoin = "round";
  context.beginPath();
  for (const { step, value } of points) context.lineTo(placeX(step), placeY(value));
  context.stroke();
  if (!isSparse) return;
  for (const { step, value } of points) {
    context.beginPath();
    context.arc(placeX(step), placeY(value), 4, 0, 2 * Math.PI);
    context.fill();
  }
}
