import type { MeasuredFacts, Tile } from "../facts.ts";
import { type Html, html } from "../html.ts";
import { percent } from "../numbers.ts";

/** Pictures up to this side are shown with their pixels as squares. */
const SMALL = 96;

/** The worst mistakes and the surest right answers, as pictures. */
export function pictures({ mistakes, surest, evaluation }: MeasuredFacts): Html {
  const wrong = evaluation.images - evaluation.perClass.reduce((sum, { correct }) => sum + correct, 0);
  const all =
    wrong === mistakes.length ? "" : `, the ${mistakes.length} worst of ${wrong.toLocaleString("en-US")}`;
  const worst =
    mistakes.length === 0
      ? html`<p>There is none.</p>`
      : html`<p class="about">Those that give the right class the least probability${all}. Look for wrong labels, and for pictures that the network has seen too few of.</p>
<div class="pictures">${mistakes.map(mistakeFigure)}</div>`;
  const sure =
    surest.length === 0
      ? html`<p>There is none.</p>`
      : html`<p class="about">The right answers of the highest probability.</p>
<div class="pictures">${surest.map(answerFigure)}</div>`;
  return html`<section class="card" id="mistakes"><h2>Worst mistakes</h2>${worst}</section>
<section class="card" id="surest"><h2>Surest right answers</h2>${sure}</section>`;
}

function mistakeFigure(tile: Tile): Html {
  const { label, predicted, confidence, labelProbability, name } = tile;
  return html`<figure>${imageOf(tile)}<figcaption><b class="wrong">${predicted}</b> ${percent(confidence)}<br>is ${label}, ${percent(labelProbability)}<small>${name}</small></figcaption></figure>`;
}

function answerFigure(tile: Tile): Html {
  const { label, confidence, name } = tile;
  return html`<figure>${imageOf(tile)}<figcaption><b class="right">${label}</b> ${percent(confidence, 2)}<small>${name}</small></figcaption></figure>`;
}

function imageOf({ source, side, label, name }: Tile): Html {
  return html`<img src="${source}" alt="${label}" title="${name}"${side <= SMALL ? html` class="small"` : undefined}>`;
}
