import { kebabCase } from "../../runtime/node/run/schema.ts";
import { formatSeconds } from "../format.ts";
import {
  bestAccuracy,
  differingSettings,
  type RunSummary,
  secondsOf,
  settingText,
} from "../models/run-summary.ts";
import { type Html, html } from "./html.ts";
import { type ChartLine, legendOf, lineChart } from "./line-chart.ts";
import { fixed } from "./numbers.ts";
import { pageOf } from "./page.ts";

/** The number of colours of runs in the styles; further runs have them again, dashed. */
const COLOURS = 8;

/** A page that compares runs: their results, the settings that differ, and their curves. */
export function comparePage(runs: readonly RunSummary[]): string {
  const title = `${runs.length} ${runs.length === 1 ? "run" : "runs"}`;
  const body = html`<header><p class="eyebrow">shake runs</p><h1>${title}</h1></header>
${results(runs)}
${curves(runs)}
${settings(runs)}
<footer>Made by shake runs. This file loads nothing and runs no script.</footer>`;
  return pageOf(title, body);
}

function results(runs: readonly RunSummary[]): Html {
  const rows = runs.map((run, i) => {
    const { path, network, data, epochs, records, state, fault } = run;
    const last = records.at(-1);
    const numbers = [
      epochs === undefined ? "" : `${last?.epoch ?? 0} of ${epochs}`,
      last ? `${fixed(last.test_accuracy, 2)} %` : "–",
      `${fixed(bestAccuracy(run) ?? Number.NaN, 2)} %`,
      fixed(last?.test_loss ?? Number.NaN, 3),
      last ? formatSeconds(secondsOf(run)) : "–",
    ];
    return html`<tr><td class="name"><i class="key" style="background:${colourOf(i)}"></i>${path}${fault === undefined ? undefined : html`<br><small>${fault}</small>`}</td><td>${network}</td><td class="name">${data}</td>${numbers.map((text) => html`<td class="number">${text}</td>`)}<td><span class="badge ${state}">${state}</span></td></tr>`;
  });
  const numbers = ["epochs", "accuracy", "best", "loss", "time"];
  return html`<section class="card"><h2>Results</h2><div class="scroll"><table class="wide"><thead><tr><th>run</th><th>network</th><th>data</th>${numbers.map((name) => html`<th class="number">${name}</th>`)}<th>state</th></tr></thead><tbody>${rows}</tbody></table></div></section>`;
}

function curves(runs: readonly RunSummary[]): Html | undefined {
  if (runs.every(({ records }) => records.length === 0)) return undefined;
  const linesOf = (metric: "test_accuracy" | "test_loss" | "train_loss"): ChartLine[] =>
    runs.map(({ path, records }, i) => ({
      label: path,
      colour: colourOf(i),
      isDashed: i >= COLOURS,
      points: records.map((record) => [record.epoch, record[metric]] as const),
    }));
  const charts = [
    { title: "Accuracy in percent", xTitle: "epoch", lines: linesOf("test_accuracy"), unit: " %" },
    { title: "Loss", xTitle: "epoch", lines: linesOf("test_loss"), reaches: 0 },
    { title: "Training loss", xTitle: "epoch", lines: linesOf("train_loss"), reaches: 0 },
  ];
  return html`<section class="card"><h2>Curves</h2>${legendOf(linesOf("test_loss"))}<div class="pair">${charts.map((chart) => html`<div><h3>${chart.title}</h3>${lineChart(chart)}</div>`)}</div></section>`;
}

function settings(runs: readonly RunSummary[]): Html {
  const differing = differingSettings(runs);
  if (differing.length === 0)
    return html`<section class="card"><h2>Settings</h2><p>The settings of these runs are the same.</p></section>`;
  const rows = differing.map(
    ({ name, values }) =>
      html`<tr><th scope="row">${kebabCase(name)}</th>${values.map((value) => html`<td class="name">${settingText(value)}</td>`)}</tr>`,
  );
  const heads = runs.map(
    ({ path }, i) => html`<th class="name"><i class="key" style="background:${colourOf(i)}"></i>${path}</th>`,
  );
  return html`<section class="card"><h2>Settings that differ</h2><div class="scroll"><table class="wide"><thead><tr><th></th>${heads}</tr></thead><tbody>${rows}</tbody></table></div></section>`;
}

function colourOf(i: number): string {
  return `var(--run${(i % COLOURS) + 1})`;
}
