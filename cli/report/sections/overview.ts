import { formatSeconds } from "../../format.ts";
import type { ReportFacts } from "../facts.ts";
import { findingsOf } from "../findings.ts";
import { type Html, html } from "../html.ts";
import { fixed, nameOfPart, percent } from "../numbers.ts";

/** The head of a report: what was trained, and its most important numbers. */
export function overview({ run, measured }: ReportFacts): Html {
  const last = run.records.at(-1);
  const seconds = run.records.reduce((sum, record) => sum + record.seconds, 0);
  const evaluation = measured?.evaluation;
  const accuracy = evaluation?.accuracy ?? last?.test_accuracy ?? Number.NaN;
  const part = nameOfPart(measured?.part ?? run.part);
  const tiles: readonly (readonly [value: string, name: string])[] = [
    [`${fixed(accuracy, 2)} %`, `${part} accuracy`],
    [fixed(evaluation?.loss ?? last?.test_loss ?? Number.NaN, 3), `${part} loss`],
    ...(evaluation
      ? [
          [percent(evaluation.reliability.expectedError), "calibration error"] as const,
          [evaluation.images.toLocaleString("en-US"), `${part} images`] as const,
        ]
      : []),
    [`${last?.epoch ?? 0} of ${run.epochs}`, "epochs"],
    [seconds > 0 ? formatSeconds(seconds) : "–", "training time"],
    ...(run.parameters === undefined
      ? []
      : [[run.parameters.toLocaleString("en-US"), "parameters trained"] as const]),
  ];
  return html`<header>
<p class="eyebrow">${run.path}</p>
<h1>${run.network} on ${measured?.data ?? run.data}<span class="badge ${run.state}">${run.state}</span></h1>
<p class="quiet">Measured on ${measured ? html`${measured.evaluation.images.toLocaleString("en-US")} ${part} images with ${measured.what}` : "nothing: see below"}.</p>
</header>
<div class="tiles">${tiles.map(([value, name]) => html`<div><b>${value}</b><span>${name}</span></div>`)}</div>`;
}

/** What stands out in the run. */
export function findings(facts: ReportFacts): Html | undefined {
  const found = findingsOf(facts);
  if (found.length === 0) return undefined;
  return html`<section class="card" id="findings"><h2>What stands out</h2>
<ul class="findings">${found.map(({ level, text }) => html`<li class="${level}">${text}</li>`)}</ul></section>`;
}
