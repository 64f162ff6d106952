import { describeData } from "../../runtime/data/dataset.ts";
import type { TrainRun } from "../commands/train/prepared-run.ts";
import { measuredPart } from "../data/part-name.ts";
import { drawCurves } from "./curves.ts";
import type { Reporter } from "./reporter.ts";

/** Keeps `metrics.jsonl` and `metrics.csv` in the folder of a run. */
export function metricsReporter(directory: TrainRun): Reporter {
  return {
    async report(event) {
      if (event.type === "epoch") await directory.addRecord(event.record);
    },
  };
}

/** Draws `curves.svg` at the end of a run of the network of that name. */
export function curvesReporter(directory: TrainRun, network: string): Reporter {
  const { config } = directory;
  return {
    report() {},
    async finish() {
      const title = `${network} on ${describeData(config).title}`;
      const svg = drawCurves(title, await directory.records(), measuredPart(config));
      return { path: await directory.write("curves.svg", svg), what: "loss and accuracy" };
    },
  };
}
