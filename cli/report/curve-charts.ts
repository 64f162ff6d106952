import type { ClassificationRecord } from "../../runtime/index.ts";
import type { RunFacts } from "./facts.ts";
import type { LineChart } from "./line-chart.ts";

/** The charts of accuracy and loss over the epochs of a run. */
export function curveCharts(
  records: readonly ClassificationRecord[],
  part: RunFacts["part"],
  colours: { readonly training: string; readonly measured: string },
): readonly LineChart[] {
  const linesOf = (metric: "accuracy" | "loss") => [
    {
      label: "training",
      colour: colours.training,
      points: records.map((record) => [record.epoch, record[`train_${metric}`]] as const),
    },
    {
      label: part,
      colour: colours.measured,
      points: records.map((record) => [record.epoch, record[`test_${metric}`]] as const),
    },
  ];
  return [
    { title: "Accuracy in percent", xTitle: "epoch", lines: linesOf("accuracy"), unit: " %" },
    { title: "Loss", xTitle: "epoch", lines: linesOf("loss"), reaches: 0 },
  ];
}
