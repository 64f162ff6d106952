import { lineColours } from "./colours.ts";

const { light, dark } = lineColours;

/** The styles of a page: system fonts, tabular numbers, and colours for light and dark. */
export const style = `
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #fff; --text: #1b1f27; --quiet: #5a6372; --line: #dfe3ea; --track: #e9ecf1;
  --training: ${light.training}; --measured: ${light.measured};
  --right: #14743a; --wrong: #b3261e; --most: 58%;
  --run1: #2a64cf; --run2: #c2570c; --run3: #14804a; --run4: #8a3ab9; --run5: #b3261e; --run6: #0d7f8c; --run7: #8a6500; --run8: #5a6372;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12151b; --card: #1b2029; --text: #e8ebf1; --quiet: #a3adbd; --line: #303743; --track: #2a313d;
    --training: ${dark.training}; --measured: ${dark.measured};
    --right: #63c98a; --wrong: #ff8a80; --most: 44%;
    --run1: #7aa7ff; --run2: #f29d5c; --run3: #63c98a; --run4: #cf9bf0; --run5: #ff8a80; --run6: #5cc8d6; --run7: #e0bd5a; --run8: #a3adbd;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
  font-variant-numeric: tabular-nums; -webkit-text-size-adjust: 100%;
}
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 4px; overflow-wrap: anywhere; letter-spacing: -.01em; }
h2 { font-size: 18px; margin: 0 0 4px; }
h3 { font-size: 14px; margin: 20px 0 6px; }
p { margin: 0 0 12px; max-width: 72ch; }
.quiet, .about { color: var(--quiet); } .about { max-width: 96ch; }
.about { margin-bottom: 16px; }
.eyebrow { color: var(--quiet); font-size: 13px; margin: 0 0 6px; overflow-wrap: anywhere; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 22px 24px; margin-top: 20px; }
.badge { display: inline-block; border: 1px solid currentColor; border-radius: 99px; padding: 0 9px; font-size: 12px; line-height: 20px; vertical-align: 5px; margin-left: 8px; letter-spacing: 0; font-weight: 600; }
.badge.finished { color: var(--right); } .badge.diverged, .badge.damaged { color: var(--wrong); } .badge.stopped, .badge.running { color: var(--measured); }
.tiles { display: flex; flex-wrap: wrap; gap: 1px; background: var(--card); border: 1px solid var(--line); border-radius: 12px; overflow: hidden; margin-top: 24px; }
.tiles > div { flex: 1 0 auto; min-width: 130px; max-width: 100%; box-shadow: 0 0 0 1px var(--line); padding: 14px 18px 12px; }
.tiles b { display: block; white-space: nowrap; font-size: 22px; line-height: 1.25; font-weight: 600; letter-spacing: -.01em; }
.tiles span { color: var(--quiet); font-size: 13px; display: block; line-height: 1.4; }
.findings { list-style: none; margin: 10px 0 0; padding: 0; }
.findings li { padding: 7px 0 7px 22px; position: relative; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.findings li:first-child { border-top: 0; }
.findings li::before { content: ""; position: absolute; left: 2px; top: 14px; width: 9px; height: 9px; border-radius: 50%; background: var(--quiet); }
.findings .warning::before { background: var(--measured); } .findings .fault::before { background: var(--wrong); } .findings .good::before { background: var(--right); }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 12px 32px; align-items: start; }
.chart { width: 100%; max-width: 560px; height: auto; display: block; font-size: 12px; }
.chart text { fill: var(--quiet); } .chart .grid { stroke: var(--line); }
.chart .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0 0 8px; color: var(--quiet); font-size: 13px; max-width: none; }
.legend i { display: inline-block; width: 16px; height: 4px; border-radius: 2px; margin-right: 7px; vertical-align: 3px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; }
th { text-align: left; font-weight: 600; color: var(--quiet); font-size: 13px; }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child td, tr:last-child th { border-bottom: 0; }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin-right: 8px; }
td .badge { margin: 0; vertical-align: 0; }
.number { text-align: right; white-space: nowrap; }
.name { overflow-wrap: anywhere; min-width: 7ch; }
.wide { width: 100%; }
.share { display: inline-block; min-width: 8ch; }
.bar { display: inline-block; width: 96px; height: 6px; background: var(--track); border-radius: 3px; margin-right: 10px; vertical-align: 2px; overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--measured); border-radius: 3px; }
.matrix { border-collapse: separate; border-spacing: 2px; font-size: 13px; }
.matrix td, .matrix th { border: 0; padding: 0; }
.matrix td { min-width: 36px; height: 32px; text-align: center; vertical-align: middle; border-radius: 4px; background: var(--track); padding: 0 5px; color: var(--quiet); }
.matrix td[style] { color: var(--text); background: color-mix(in srgb, var(--of) calc(var(--share) * var(--most) + 10%), var(--card)); }
.matrix .own { --of: var(--training); } .matrix .other { --of: var(--wrong); }
.matrix tbody th { position: sticky; left: 0; background: var(--card); text-align: right; padding: 0 8px 0 0; max-width: 150px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; vertical-align: middle; font-weight: 500; }
.matrix thead th { vertical-align: bottom; font-weight: 500; }
.matrix thead span { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 120px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; display: block; margin: 0 auto; padding-top: 4px; }
.beside { display: flex; flex-wrap: wrap; gap: 12px 32px; align-items: flex-start; } .beside > * { min-width: 0; max-width: 100%; } .beside > :last-child { flex: 1 1 300px; }
.heat { width: 640px; max-width: 100%; height: auto; display: block; background: var(--track); border-radius: 6px; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)); gap: 16px 14px; margin: 0; padding: 0; }
figure { margin: 0; font-size: 13px; line-height: 1.35; min-width: 0; }
figure img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; background: var(--track); border-radius: 8px; margin-bottom: 6px; }
figure .small { image-rendering: pixelated; }
figcaption { overflow-wrap: anywhere; }
figcaption b { font-weight: 600; } .right { color: var(--right); } .wrong { color: var(--wrong); }
figcaption small { display: block; color: var(--quiet); font-size: 12px; }
details summary { cursor: pointer; color: var(--quiet); font-size: 14px; margin-top: 10px; }
details[open] summary { margin-bottom: 10px; }
pre { background: var(--track); border-radius: 8px; padding: 12px 14px; overflow-x: auto; font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; margin: 0 0 12px; white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 250px), 1fr)); gap: 0 32px; margin: 0; font-size: 14px; }
dl div { display: flex; justify-content: space-between; gap: 12px; border-bottom: 1px solid var(--line); padding: 5px 0; }
dt { color: var(--quiet); white-space: nowrap; } dd { margin: 0; text-align: right; overflow-wrap: anywhere; min-width: 0; }
footer { color: var(--quiet); font-size: 13px; margin-top: 28px; }
@media (max-width: 560px) {
  main { padding: 24px 14px 40px; } .card { padding: 16px 14px; border-radius: 10px; } h1 { font-size: 23px; }
  .tiles { display: grid; grid-template-columns: 1fr 1fr; } .tiles > div { padding: 10px 12px; } .tiles b { font-size: 20px; }
  .pictures { grid-template-columns: repeat(auto-fill, minmax(96px, 1fr)); } .bar { display: none; } th, td { padding-right: 10px; }
}
@media print { body { background: #fff; } .card { break-inside: avoid; } }
`;
