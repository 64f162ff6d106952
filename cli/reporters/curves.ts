import type { ClassificationRecord } from "../../runtime/index.ts";
import { lineColours } from "../report/colours.ts";
import { curveCharts } from "../report/curve-charts.ts";
import type { RunFacts } from "../report/facts.ts";
import { chartsFile } from "../report/line-chart.ts";

/** Accuracy and loss of training and of what is measured over the epochs, as an SVG picture. */
export function drawCurves(
  title: string,
  records: readonly ClassificationRecord[],
  part: RunFacts["part"],
): string {
  return chartsFile(title, curveCharts(records, part, lineColours.light));
}
