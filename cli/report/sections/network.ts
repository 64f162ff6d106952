import { formatLarge } from "../../format.ts";
import type { RunFacts } from "../facts.ts";
import { type Html, html } from "../html.ts";

/** The most layers that are shown at once. */
const MOST_SHOWN = 20;

/** The layers of the network with their shapes, parameters and cost. */
export function network({ layers }: RunFacts): Html | undefined {
  if (layers.length === 0) return undefined;
  const rows = layers.map(
    ({ name, operator, output, parameters, flops }) =>
      html`<tr><td class="name">${name}</td><td>${operator}</td><td>${output}</td><td class="number">${parameters.toLocaleString("en-US")}</td><td class="number">${formatLarge(flops)}</td></tr>`,
  );
  const all = html`<div class="scroll"><table class="wide"><thead><tr><th>layer</th><th>operator</th><th>output</th><th class="number">parameters</th><th class="number">FLOPs</th></tr></thead><tbody>${rows}</tbody></table></div>`;
  const shown =
    layers.length > MOST_SHOWN
      ? html`<details><summary>All ${layers.length} layers</summary>${all}</details>`
      : all;
  return html`<section class="card" id="network"><h2>Network</h2>
<p class="about">The layers with parameters, as the network is trained. FLOPs are of one image, forward.</p>${shown}</section>`;
}
