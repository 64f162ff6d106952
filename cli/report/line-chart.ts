import { at } from "../../graph-builder/index.ts";
import { Html, html } from "./html.ts";
import { placeOn, placeOnLogarithmic, pointsAxis, roundAxis, wholeAxis } from "./ticks.ts";

/** A line of a chart. A value that is not finite is a gap. */
export interface ChartLine {
  readonly label: string;
  /** A colour, or a CSS variable. */
  readonly colour: string;
  readonly isDashed?: boolean;
  readonly points: readonly ChartPoint[];
  /** The least and the most at each point, drawn as an area behind the line. */
  readonly spread?: readonly (readonly [least: number, most: number])[];
}

type ChartPoint = readonly [x: number, y: number];

/** What a chart shows over whole numbers, such as epochs. */
export interface LineChart {
  readonly title: string;
  readonly xTitle: string;
  /** Whether the horizontal axis is logarithmic, with a tick at each point. */
  readonly isLogarithmic?: boolean;
  readonly lines: readonly ChartLine[];
  /** A value that the vertical axis reaches in any case. */
  readonly reaches?: number;
  /** What is written behind a value. */
  readonly unit?: string;
}

/** The size of a chart and the room around its lines, in pixels. */
const [width, height] = [480, 280];
const room = { left: 46, right: 14, top: 12, bottom: 40 } as const;

/** The most points of a line that are drawn as dots, and that tell their value under the pointer. */
const [mostDots, mostHints] = [60, 400];

/** A chart for a page that has the styles of the report. */
export function lineChart(chart: LineChart): Html {
  return html`<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${chart.title}">${bodyOf(chart)}</svg>`;
}

/** The names of a chart's lines with their colours. */
export function legendOf(lines: readonly Pick<ChartLine, "label" | "colour">[]): Html {
  const names = lines.map(
    ({ label, colour }) => html`<span><i style="background:${colour}"></i>${label}</span>`,
  );
  return html`<p class="legend">${names}</p>`;
}

const fileStyles = new Html(
  "text{font:12px system-ui,sans-serif;fill:#5a6372}.head{font-size:16px;font-weight:600;fill:#1b1f27}.name{font-size:13px;font-weight:600;fill:#1b1f27}.grid{stroke:#dfe3ea}.line{fill:none;stroke-width:2;stroke-linejoin:round}",
);

/** The size of a legend's entry, in pixels. */
const entry = { width: 110, height: 20 } as const;

/** Charts beside each other as an SVG file, on white, with a title and a legend. */
export function chartsFile(title: string, charts: readonly LineChart[]): string {
  const [top, margin] = [76, 12];
  const legend = charts[0]?.lines ?? [];
  const left = margin + room.left;
  const aRow = Math.floor((charts.length * width - room.left) / entry.width);
  const bottom = 16 + entry.height * Math.max(1, Math.ceil(legend.length / aRow));
  const panels = charts.map(
    (chart, i) =>
      html`<g transform="translate(${margin + i * width} ${top})"><text class="name" x="${room.left}" y="-6">${chart.title}</text>${bodyOf(chart)}</g>`,
  );
  const names = legend.map(({ label, colour }, i) => {
    const x = left + entry.width * (i % aRow);
    const y = top + height + 18 + entry.height * Math.floor(i / aRow);
    return html`<rect x="${x}" y="${y - 6}" width="16" height="4" rx="2" fill="${colour}"/><text x="${x + 22}" y="${y}">${label}</text>`;
  });
  const size = { width: charts.length * width + 2 * margin, height: top + height + bottom };
  return svgFile(title, size, html`<text class="head" x="${left}" y="36">${title}</text>${panels}${names}`);
}

/** What is drawn as an SVG file on white, with the styles of a chart. */
export function svgFile(
  title: string,
  { width, height }: { readonly width: number; readonly height: number },
  drawn: Html,
): string {
  const box = `0 0 ${width} ${height}`;
  return html`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="${box}" role="img" aria-label="${title}"><style>${fileStyles}</style><rect width="100%" height="100%" fill="#fff"/>${drawn}</svg>\n`
    .text;
}

/** The grid, the axes and the lines of a chart. */
function bodyOf({ xTitle, lines, reaches, unit = "", isLogarithmic = false }: LineChart): Html {
  const finite = lines.flatMap(({ points }) => points.filter(isFinitePoint));
  const spreads = lines.flatMap(({ spread = [] }) => spread.flat());
  const values = [...finite.map(([, y]) => y), ...spreads, ...(reaches === undefined ? [] : [reaches])];
  const places = finite.map(([x]) => x);
  const [across, along] = [roundAxis(values, 5), isLogarithmic ? pointsAxis(places) : wholeAxis(places, 6)];
  const [left, right] = [room.left, width - room.right];
  const [low, high] = [height - room.bottom, room.top];
  const [x, y] = [
    (isLogarithmic ? placeOnLogarithmic : placeOn)(along, [left, right]),
    placeOn(across, [low, high]),
  ];
  const place: Place = ([atX, atY]) => [rounded(x(atX)), rounded(y(atY))];
  const rows = across.ticks.map((tick) => {
    const at = rounded(y(tick));
    return html`<line class="grid" x1="${left}" x2="${right}" y1="${at}" y2="${at}"/><text x="${left - 8}" y="${at + 4}" text-anchor="end">${shown(tick)}</text>`;
  });
  const columns = along.ticks.map(
    (tick) => html`<text x="${rounded(x(tick))}" y="${low + 18}" text-anchor="middle">${shown(tick)}</text>`,
  );
  const centre = (left + right) / 2;
  const drawn =
    finite.length > 0
      ? lines.map((line) => lineOf(line, place, unit))
      : html`<text x="${centre}" y="${height / 2}" text-anchor="middle">no value that is a number</text>`;
  return html`${rows}${columns}<text x="${centre}" y="${height - 4}" text-anchor="middle">${xTitle}</text>${drawn}`;
}

type Place = (point: ChartPoint) => readonly [x: number, y: number];

function lineOf(line: ChartLine, place: Place, unit: string): Html {
  const { label, colour, points, isDashed } = line;
  const finite = points.filter(isFinitePoint);
  const dots = finite.length <= mostDots && !isDashed ? finite : [];
  const radius = finite.length > 30 ? 1.8 : 2.6;
  const dashes = isDashed ? html` stroke-dasharray="5 4"` : undefined;
  return html`${areaOf(line, place)}<path class="line" d="${pathOf(points, place)}" stroke="${colour}"${dashes}/>${dots.map(
    (point) => {
      const [cx, cy] = place(point);
      return html`<circle cx="${cx}" cy="${cy}" r="${radius}" fill="${colour}"/>`;
    },
  )}${(finite.length <= mostHints ? finite : []).map((point) => {
    const [cx, cy] = place(point);
    return html`<circle cx="${cx}" cy="${cy}" r="7" fill="transparent"><title>${label}, ${point[0]}: ${shown(point[1])}${unit}</title></circle>`;
  })}`;
}

/** The area between the least and the most at a line's points. */
function areaOf({ colour, points, spread }: ChartLine, place: Place): Html | undefined {
  if (!spread) return undefined;
  const edge = (side: 0 | 1) => points.map(([x], i) => place([x, at(spread, i)[side]]).join(" "));
  const outline = [...edge(0), ...edge(1).toReversed()];
  return html`<path d="M${outline.join("L")}Z" fill="${colour}" fill-opacity="0.15"/>`;
}

/** The path of a line, which begins anew after a gap. */
function pathOf(points: readonly ChartPoint[], place: Place): string {
  let isDown = false;
  let path = "";
  for (const point of points) {
    if (isFinitePoint(point)) path += `${isDown ? "L" : "M"}${place(point).join(" ")}`;
    isDown = isFinitePoint(point);
  }
  return path;
}

function isFinitePoint([, y]: ChartPoint): boolean {
  return Number.isFinite(y);
}

function rounded(pixels: number): number {
  return Number(pixels.toFixed(1));
}

/** A number for people, with four digits that say something. */
function shown(value: number): string {
  return Number(value.toPrecision(4)).toLocaleString("en-US", { maximumFractionDigits: 6 });
}
