import { confusedPairs, confusionMatrix } from "../../../runtime/index.ts";
import type { MeasuredFacts } from "../facts.ts";
import { type Html, html } from "../html.ts";
import { percent } from "../numbers.ts";

/** The most classes whose matrix is a table of numbers, and those of a picture of it. */
const [mostNumbers, mostColours] = [24, 400];

/** The most pairs that are listed. */
const MOST_PAIRS = 15;

/** The confusion matrix, and the pairs that are confused most. */
export function confusion(facts: MeasuredFacts): Html {
  const { classNames, evaluation } = facts;
  const pairs = confusedPairs(evaluation.confusion, MOST_PAIRS);
  const count = shownClasses(facts);
  const matrix =
    count <= mostNumbers ? table(facts, count) : count <= mostColours ? picture(facts, count) : undefined;
  const rows = pairs.map(
    ({ label, predicted, images, of }) =>
      html`<tr><td class="name">${nameOf(classNames, label)}</td><td class="name">${nameOf(classNames, predicted)}</td><td class="number">${images}</td><td class="number">${percent(images / of)}</td></tr>`,
  );
  const list =
    rows.length === 0
      ? html`<p>No image was taken for another class.</p>`
      : html`<table><thead><tr><th>class</th><th>taken for</th><th class="number">images</th><th class="number">of the class</th></tr></thead><tbody>${rows}</tbody></table>`;
  const about = html`<p class="about">A row is a class, a column what its images were taken for. The colour is the share of the row.</p>`;
  return html`<section class="card" id="confusion"><h2>Confusion matrix</h2>
${matrix ? about : undefined}
<div class="beside">${matrix ? html`<div class="scroll">${matrix}</div>` : undefined}<div><h3>Confused most</h3><div class="scroll">${list}</div></div></div></section>`;
}

/** The classes of the data set, and those of the network that were predicted. */
function shownClasses({ classNames, evaluation }: MeasuredFacts): number {
  const predicted = evaluation.confusion.reduce((most, cell) => Math.max(most, cell.predicted + 1), 0);
  return Math.max(classNames.length, predicted);
}

function table({ classNames, evaluation }: MeasuredFacts, count: number): Html {
  const rows = confusionMatrix(evaluation.confusion, count).map((cells, label) => {
    const of = cells.reduce((sum, images) => sum + images, 0);
    const shown = cells.map((images, predicted) => {
      if (images === 0) return html`<td></td>`;
      const kind = label === predicted ? "own" : "other";
      const said = `${images} of ${of} images of ${nameOf(classNames, label)} were taken for ${nameOf(classNames, predicted)}`;
      return html`<td class="${kind}" style="--share:${(images / of).toFixed(3)}" title="${said}">${images}</td>`;
    });
    const name = nameOf(classNames, label);
    return html`<tr><th scope="row" title="${name}">${name}</th>${shown}</tr>`;
  });
  const names = Array.from({ length: count }, (_, i) => {
    const name = nameOf(classNames, i);
    return html`<th scope="col" title="${name}"><span>${name}</span></th>`;
  });
  return html`<table class="matrix"><thead><tr><th></th>${names}</tr></thead><tbody>${rows}</tbody></table>`;
}

/** The matrix of many classes: a square for each pair that occurs. */
function picture({ classNames, evaluation }: MeasuredFacts, count: number): Html {
  const totals = new Map<number, number>();
  for (const { label, images } of evaluation.confusion) totals.set(label, (totals.get(label) ?? 0) + images);
  const squares = evaluation.confusion.map(({ label, predicted, images }) => {
    const of = totals.get(label) ?? images;
    const colour = label === predicted ? "var(--training)" : "var(--wrong)";
    const strength = (0.15 + 0.85 * Math.sqrt(images / of)).toFixed(2);
    return html`<rect x="${predicted}" y="${label}" width="1" height="1" fill="${colour}" fill-opacity="${strength}"><title>${images} of ${of} images of ${nameOf(classNames, label)} were taken for ${nameOf(classNames, predicted)}</title></rect>`;
  });
  return html`<svg class="heat" viewBox="0 0 ${count} ${count}" role="img" aria-label="confusion matrix of ${count} classes" shape-rendering="crispEdges">${squares}</svg>`;
}

function nameOf(classNames: readonly string[], i: number): string {
  return classNames[i] ?? `class ${i}`;
}
