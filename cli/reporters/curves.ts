import type { ClassificationRecord } from "../../runtime/index.ts";

/** Loss and accuracy of training and test over the epochs, as an SVG picture. */
export async function drawCurves(title: string, records: readonly ClassificationRecord[]): Promise<string> {
  const [{ compile }, { parse, View }] = await Promise.all([import("vega-lite"), import("vega")]);
  const values = records.flatMap((record) => [
    { epoch: record.epoch, split: "training", loss: record.train_loss, accuracy: record.train_accuracy },
    { epoch: record.epoch, split: "test", loss: record.test_loss, accuracy: record.test_accuracy },
  ]);
  const panel = (field: "loss" | "accuracy", axis: string) => ({
    width: 360,
    height: 240,
    mark: { type: "line" as const, point: records.length <= 60, strokeWidth: 2 },
    encoding: {
      x: { field: "epoch", type: "quantitative" as const, axis: { tickMinStep: 1 }, title: "epoch" },
      y: { field, type: "quantitative" as const, title: axis, scale: { zero: field === "loss" } },
      color: {
        field: "split",
        type: "nominal" as const,
        title: null,
        sort: ["training", "test"],
        scale: { range: ["#e07a3f", "#2f6db3"] },
      },
    },
  });
  const { spec } = compile({
    title,
    background: "white",
    padding: 16,
    data: { values },
    hconcat: [panel("accuracy", "accuracy in percent"), panel("loss", "loss")],
  });
  const view = new View(parse(spec), { renderer: "none" });
  const svg = await view.toSVG();
  view.finalize();
  return svg;
}
