import type { ClassificationRecord } from "../../../runtime/index.ts";
import { curveCharts } from "../curve-charts.ts";
import type { RunFacts } from "../facts.ts";
import { type Html, html } from "../html.ts";
import { legendOf, lineChart } from "../line-chart.ts";
import { fixed } from "../numbers.ts";

const colours = { training: "var(--training)", measured: "var(--measured)" };

/** Loss and accuracy over the epochs, and the table of their numbers. */
export function curves({ records, part }: RunFacts): Html | undefined {
  const [first, ...others] = curveCharts(records, part, colours);
  if (!first || records.length === 0) return undefined;
  return html`<section class="card" id="curves"><h2>Curves</h2>
<p class="about">After every epoch that was evaluated. Training numbers are means over the epoch, with augmented images.</p>
${legendOf(first.lines)}
<div class="pair">${[first, ...others].map((chart) => html`<div><h3>${chart.title}</h3>${lineChart(chart)}</div>`)}</div>
<details><summary>${records.length === 1 ? "The epoch that was evaluated" : `All ${records.length} epochs that were evaluated`}</summary>${table(records, part)}</details></section>`;
}

function table(records: readonly ClassificationRecord[], part: string): Html {
  const rows = records.map((record) => {
    const cells = [
      String(record.epoch),
      `${fixed(record.train_accuracy, 2)} %`,
      fixed(record.train_loss, 4),
      `${fixed(record.test_accuracy, 2)} %`,
      fixed(record.test_loss, 4),
      record.learning_rate.toPrecision(3),
      fixed(record.images_per_second, 0),
    ];
    return html`<tr>${cells.map((cell) => html`<td class="number">${cell}</td>`)}</tr>`;
  });
  const head = ["epoch", "training", "loss", part, "loss", "learning rate", "images/s"];
  return html`<div class="scroll"><table class="wide"><thead><tr>${head.map((name) => html`<th class="number">${name}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>`;
}
