import type { ReportFacts } from "./facts.ts";
import { html } from "./html.ts";
import { pageOf } from "./page.ts";
import { calibration } from "./sections/calibration.ts";
import { classes } from "./sections/classes.ts";
import { confusion } from "./sections/confusion.ts";
import { curves } from "./sections/curves.ts";
import { network } from "./sections/network.ts";
import { findings, overview } from "./sections/overview.ts";
import { pictures } from "./sections/pictures.ts";
import { settings } from "./sections/settings.ts";

/** The report of a run as one file of HTML. The same facts give the same bytes. */
export function reportPage(facts: ReportFacts): string {
  const { run, measured } = facts;
  const body = html`${overview(facts)}
${findings(facts)}
${curves(run)}
${
  measured
    ? html`${confusion(measured)}
${classes(measured)}
${calibration(measured)}
${pictures(measured)}`
    : undefined
}
${network(run)}
${settings(run)}
<footer>Made by shake report. This file loads nothing and runs no script.</footer>`;
  return pageOf(`${run.network} on ${measured?.data ?? run.data}`, body);
}
