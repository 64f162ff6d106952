import { html } from "../../cli/report/html.ts";
import { svgFile } from "../../cli/report/line-chart.ts";
import { placeOn, roundAxis } from "../../cli/report/ticks.ts";
import type { Spread } from "../compare/statistics.ts";

/** A bar of a chart, with the spread of what its mean is of. */
export interface Bar extends Spread {
  readonly label: string;
  readonly mean: number;
}

/** The size of the chart's parts, in pixels. */
const [names, width, rowHeight, top, bottom] = [230, 320, 26, 84, 40] as const;

/** Horizontal bars as an SVG file: each from 0 to the mean, with a line from the least to the most. */
export function barsFile(title: string, subtitle: string, bars: readonly Bar[]): string {
  const axis = roundAxis([0, ...bars.map(({ max }) => max)], 5);
  const x = placeOn(axis, [names, names + width]);
  const end = top + bars.length * rowHeight;
  const columns = axis.ticks.map(
    (tick) =>
      html`<line class="grid" x1="${x(tick)}" x2="${x(tick)}" y1="${top}" y2="${end}"/><text x="${x(tick)}" y="${end + 18}" text-anchor="middle">${tick}</text>`,
  );
  const rows = bars.map(({ label, mean, min, max }, i) => {
    const middle = top + (i + 0.5) * rowHeight;
    const [from, to] = [x(min).toFixed(1), x(max).toFixed(1)];
    return html`<text x="${names - 8}" y="${middle + 4}" text-anchor="end">${label}</text><rect x="${names}" y="${middle - 8}" width="${(x(mean) - names).toFixed(1)}" height="16" fill="#2a64cf" fill-opacity="0.75"/><path d="M${from} ${middle}H${to}" stroke="#1b1f27" stroke-width="2"/><text x="${(x(max) + 8).toFixed(1)}" y="${middle + 4}">${mean.toFixed(1)}</text>`;
  });
  const head = html`<text class="head" x="16" y="36">${title}</text><text class="name" x="16" y="64">${subtitle}</text>`;
  const size = { width: names + width + 48, height: end + bottom };
  return svgFile(title, size, html`${head}${columns}${rows}`);
}
