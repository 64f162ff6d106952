import type { Reliability } from "../../../runtime/index.ts";
import type { MeasuredFacts } from "../facts.ts";
import { type Html, html } from "../html.ts";
import { percent } from "../numbers.ts";

/** The diagram's size and the room around it, in pixels. */
const [side, left, top, below] = [280, 46, 12, 96];
const width = left + side + 14;
const height = top + side + below;
/** The height of the tallest bar of the histogram. */
const TALLEST = 40;

/** The reliability diagram: how often predictions of a confidence are right. */
export function calibration({ evaluation: { reliability, accuracy } }: MeasuredFacts): Html {
  const { expectedError, overconfidence } = reliability;
  const confidence = accuracy / 100 + overconfidence;
  const how =
    Math.abs(overconfidence) < 0.01
      ? "It is as sure as it is right on the whole."
      : `On the whole it is ${percent(Math.abs(overconfidence))} ${overconfidence > 0 ? "too sure" : "not sure enough"}.`;
  return html`<section class="card" id="calibration"><h2>Calibration</h2>
<div class="pair"><div>${diagram(reliability)}</div><div>
<p>A well calibrated network is right nine times in ten where it says 90 %. Bars on the dashed line are so; bars below it are too sure.</p>
<dl><div><dt>expected calibration error</dt><dd>${percent(expectedError, 2)}</dd></div><div><dt>mean probability of its answers</dt><dd>${percent(confidence, 2)}</dd></div><div><dt>share of right answers</dt><dd>${percent(accuracy / 100, 2)}</dd></div></dl>
<p></p><p class="quiet">${how} The error is the mean gap between both over ${reliability.bins.length} bins of equal width, weighted by their images (Guo et al. 2017). The small bars below are the images of each bin.</p>
</div></div></section>`;
}

function diagram({ bins }: Reliability): Html {
  const most = bins.reduce((largest, { images }) => Math.max(largest, images), 1);
  const x = (share: number) => rounded(left + share * side);
  const y = (share: number) => rounded(top + (1 - share) * side);
  const foot = height - 20;
  const bars = bins
    .filter(({ images }) => images > 0)
    .map(({ from, to, images, accuracy, confidence }) => {
      const wide = rounded((to - from) * side - 2);
      const tall = Math.max(1, rounded((images / most) * TALLEST));
      const said = `${images} images of ${percent(from, 0)} to ${percent(to, 0)}: ${percent(confidence)} sure, ${percent(accuracy)} right`;
      return html`<g><title>${said}</title><rect x="${rounded(x(from) + 1)}" y="${y(accuracy)}" width="${wide}" height="${rounded(accuracy * side)}" fill="var(--measured)" fill-opacity=".8"/><rect x="${rounded(x(from) + 1)}" y="${rounded(foot - tall)}" width="${wide}" height="${tall}" fill="var(--quiet)" fill-opacity=".6"/></g>`;
    });
  const ticks = [0, 0.25, 0.5, 0.75, 1].map(
    (tick) =>
      html`<line class="grid" x1="${left}" x2="${left + side}" y1="${y(tick)}" y2="${y(tick)}"/><text x="${left - 8}" y="${rounded(y(tick) + 4)}" text-anchor="end">${100 * tick} %</text><text x="${x(tick)}" y="${top + side + 18}" text-anchor="middle">${100 * tick}</text>`,
  );
  return html`<svg class="chart" style="max-width:400px" viewBox="0 0 ${width} ${height}" role="img" aria-label="reliability diagram">${ticks}${bars}<line x1="${x(0)}" y1="${y(0)}" x2="${x(1)}" y2="${y(1)}" stroke="var(--quiet)" stroke-dasharray="5 4"/><text x="${left + side / 2}" y="${height - 4}" text-anchor="middle">probability of the answer in percent</text></svg>`;
}

function rounded(pixels: number): number {
  return Number(pixels.toFixed(1));
}
