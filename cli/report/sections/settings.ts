import { kebabCase } from "../../../runtime/node/run/schema.ts";
import type { RunFacts } from "../facts.ts";
import { type Html, html } from "../html.ts";

/** The command, the settings and the machine of a run. */
export function settings({ command, settings: all, origin }: RunFacts): Html {
  const typed =
    origin && command !== origin.command
      ? html`<h3>As it was typed</h3><pre>${origin.command}</pre>`
      : undefined;
  return html`<section class="card" id="settings"><h2>Settings</h2>
${command === undefined ? undefined : html`<p class="about">To repeat the run:</p><pre>${command}</pre>`}${typed}
${fields(Object.entries(all).map(([name, value]) => [kebabCase(name), textOf(value)]))}</section>
${
  origin
    ? html`<section class="card" id="machine"><h2>Machine</h2>${fields([
        ["processor", origin.machine],
        ["memory", origin.memory],
        ["system", origin.system],
        ["Node", origin.node],
        ["folder", origin.folder],
        ["began", origin.started.replace("T", " ").replace(/\.\d+Z$/, " UTC")],
      ])}</section>`
    : undefined
}`;
}

function fields(pairs: readonly (readonly [string, string])[]): Html {
  return html`<dl>${pairs.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.join(" ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
