import { datasets } from "../../runtime/data/dataset.ts";
import { networkName } from "../../shakenet/index.ts";
import type { ShakeNetRun } from "../../shakenet/node/run.ts";
import { drawCurves } from "./curves.ts";
import type { Reporter } from "./reporter.ts";

/** Keeps `metrics.jsonl` and `metrics.csv` in the folder of a run. */
export function metricsReporter(directory: ShakeNetRun): Reporter {
  return {
    async report(event) {
      if (event.type === "epoch") await directory.addRecord(event.record);
    },
  };
}

/** Draws `curves.svg` at the end of a run. */
export function curvesReporter(directory: ShakeNetRun): Reporter {
  const { config } = directory;
  return {
    report() {},
    async finish() {
      const title = `ShakeNet ${networkName(config)} on ${datasets[config.data].title}`;
      const svg = await drawCurves(title, await directory.records());
      return { path: await directory.write("curves.svg", svg), what: "loss and accuracy" };
    },
  };
}
