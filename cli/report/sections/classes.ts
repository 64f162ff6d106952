import type { ClassEvaluation } from "../../../runtime/index.ts";
import type { MeasuredFacts } from "../facts.ts";
import { type Html, html } from "../html.ts";
import { nameOfPart, percent } from "../numbers.ts";

/** The most classes whose rows are all shown at once. */
const MOST_SHOWN = 30;

/** Recall, precision and counts of every class, the lowest recall first. */
export function classes({ evaluation, part, trainCounts }: MeasuredFacts): Html {
  const rows = evaluation.perClass.map((each, i) => ({ ...each, train: trainCounts?.[i] }));
  // classes without an image have no recall, and come last
  rows.sort((a, b) => recallOf(a) - recallOf(b) || b.images - a.images);
  const head = html`<thead><tr><th>class</th>${trainCounts ? html`<th class="number">training</th>` : undefined}<th class="number">${nameOfPart(part)}</th><th class="number">right</th><th class="number">recall</th><th class="number">precision</th></tr></thead>`;
  const tableOf = (shown: typeof rows) =>
    html`<div class="scroll"><table class="wide">${head}<tbody>${shown.map(rowOf)}</tbody></table></div>`;
  const rest = rows.slice(MOST_SHOWN);
  return html`<section class="card" id="classes"><h2>Classes</h2>
<p class="about">Recall is the share of a class's images that were found; precision is the share of the images taken for a class that are of it. The lowest recall comes first.</p>
${tableOf(rows.slice(0, MOST_SHOWN))}${rest.length > 0 ? html`<details><summary>${rest.length} more classes</summary>${tableOf(rest)}</details>` : undefined}</section>`;
}

function recallOf({ images, correct }: ClassEvaluation): number {
  return images === 0 ? Number.POSITIVE_INFINITY : correct / images;
}

function rowOf({
  className,
  images,
  correct,
  predicted,
  train,
}: ClassEvaluation & { readonly train: number | undefined }): Html {
  const count = (value: number) => html`<td class="number">${value.toLocaleString("en-US")}</td>`;
  return html`<tr><td class="name">${className}</td>${train === undefined ? undefined : count(train)}${count(images)}${count(correct)}${shareCell(correct / images)}${shareCell(correct / predicted)}</tr>`;
}

function shareCell(share: number): Html {
  if (!Number.isFinite(share)) return html`<td class="number">–</td>`;
  return html`<td class="number"><span class="bar"><i style="width:${(100 * share).toFixed(1)}%"></i></span><span class="share">${percent(share)}</span></td>`;
}
