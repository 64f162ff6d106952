import { counted } from "../../../artifacts/counted.ts";
import { countIn } from "../../../artifacts/index.ts";
import type { ClassificationRecord } from "../../../runtime/index.ts";
import { networkName } from "../../../shakenet/index.ts";
import type { ShakeNetRun } from "../../../shakenet/node/run.ts";
import { measuredPart } from "../../data/part-name.ts";
import { formatFields, formatTable } from "../../format.ts";
import type { ModelRun } from "../../models/model-run.ts";
import type { Report } from "./report.ts";

/** A run: its settings and the metrics of its epochs. */
export async function inspectRun(directory: ShakeNetRun | ModelRun): Promise<Report> {
  const { config, path } = directory;
  const records: ClassificationRecord[] = await directory.records();
  const where = directory.checkpointPath("last");
  const { properties } = await directory.checkpoint("last");
  const done = countIn(properties, "epoch", where) ?? 0;
  const last = records.at(-1);
  const part = measuredPart(config);
  const facts = { kind: "run", path, config, epochs: records, step: countIn(properties, "step", where) ?? 0 };
  const rows = records.map((record) => [
    String(record.epoch),
    `${record.train_accuracy.toFixed(2)} %`,
    record.train_loss.toFixed(3),
    `${record.test_accuracy.toFixed(2)} %`,
    record.test_loss.toFixed(3),
    record.learning_rate.toPrecision(3),
  ]);
  const text = [
    formatFields({
      run: path,
      network: "feeding" in config ? config.model : networkName(config),
      data: config.data,
      progress: `${done} of ${counted(config.epochs, "epoch")}, step ${facts.step}`,
      [`${part} accuracy`]: last && `${last.test_accuracy.toFixed(2)} %`,
      settings: Object.entries(config)
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`)
        .join(", "),
    }),
    "",
    formatTable(["epoch", "train", "loss", part, "loss", "learning rate"], rows),
  ].join("\n");
  return { facts, text };
}
