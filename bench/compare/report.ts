import { cpus } from "node:os";
import { formatRate, formatTable } from "../../cli/format.ts";
import type { Row } from "./comparison.ts";
import { models } from "./models.ts";
import type { Plan } from "./options.ts";
import { eagerPeers } from "./peers.ts";
import { fastestOf, pairedRatio, type Spread, spreadOf } from "./statistics.ts";

/** The result of a comparison, as `--json` prints it. */
export type Report = ReturnType<typeof summarize>;

/** Computes the result of a comparison. A ratio compares two rates of the same round. */
export function summarize(plan: Plan, rows: readonly Row[]) {
  const { model, depth, width, batchSize, threads, rounds, steps, evaluates = false } = plan;
  const ratesOf = (names: readonly string[]) =>
    rows.flatMap((row) => ("rates" in row && names.includes(row.name) ? [row.rates] : []));
  const eager = fastestOf(ratesOf(eagerPeers));
  const [tfjs = []] = ratesOf(["tfjs"]);
  const [ortTraining = []] = ratesOf(["onnxruntime-training"]);
  return {
    network: model ?? `${depth} 2x${width}d`,
    task: evaluates ? ("evaluation" as const) : ("training" as const),
    unit: model ? models[model].unit : "images",
    slow_peer: model ? ("onnxruntime-training" as const) : ("tfjs" as const),
    batch_size: batchSize,
    threads,
    rounds,
    steps_a_round: steps,
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    node: process.version,
    peers: rows.map((row) => {
      const { name, label, version, deviation: loss_deviation } = row;
      if ("reason" in row) return { name, label, version, loss_deviation, reason: row.reason };
      return {
        ...{ name, label, version, loss_deviation },
        batch_size: row.batchSize,
        per_second: spreadOf(row.rates),
        of_pytorch_eager: pairedRatio(row.rates, eager),
        of_tfjs: pairedRatio(row.rates, tfjs),
        of_onnxruntime_training: pairedRatio(row.rates, ortTraining),
        n: row.steps,
        rates: row.rates,
        peak_rss_mb: row.peakRssMb,
        foreign_load: row.foreignLoad,
      };
    }),
  };
}

/** Prints a result as a table. */
export function describe(report: Report): string {
  const { network, task, unit, slow_peer, batch_size, threads, rounds } = report;
  const { steps_a_round, cpu, cores, node } = report;
  const header = [
    "",
    `${unit}/s`,
    "min-max",
    "of PyTorch eager",
    "min-max",
    `times ${slow_peer}`,
    "n",
    "loss off by",
    "MB",
    "version",
  ];
  const body = report.peers.map((peer) => {
    const { label, version = "", loss_deviation } = peer;
    const off = loss_deviation === undefined ? "" : loss_deviation.toPrecision(1);
    if ("reason" in peer) return [label, "-", "", "-", "", "-", "0", off, "", peer.reason];
    const { per_second: rate, of_pytorch_eager: ratio, n, peak_rss_mb } = peer;
    const times = slow_peer === "tfjs" ? peer.of_tfjs : peer.of_onnxruntime_training;
    return [
      ...[label, formatRate(rate.median), range(rate, formatRate)],
      ...(ratio ? [formatRatio(ratio.median), range(ratio, formatRatio)] : ["-", ""]),
      ...[times ? formatRatio(times.median) : "-", String(n), off, peak_rss_mb?.toFixed(0) ?? "-"],
      peer.batch_size === batch_size ? version : `${version}; batch ${peer.batch_size}`,
    ];
  });
  return [
    `${network}${task === "training" ? "" : `, ${task}`}, batch ${batch_size}, ${threads} threads, ${rounds} rounds of ${steps_a_round} steps; ${cpu}, ${cores} cores, Node ${node}`,
    "",
    formatTable(header, body),
    ...disturbance(report),
  ].join("\n");
}

/** A line that warns where the machine was not quiet. */
function disturbance({ peers }: Report): string[] {
  const loads = peers.flatMap((peer) => ("foreign_load" in peer ? [peer.foreign_load] : []));
  const most = Math.max(0, ...loads);
  if (most < 0.1) return [];
  return [
    "",
    `Before a turn other programs used up to ${(100 * most).toFixed(0)} % of this machine: measure again when it is quiet.`,
  ];
}

function formatRatio(ratio: number): string {
  return ratio >= 10 ? ratio.toFixed(0) : ratio >= 0.1 ? ratio.toFixed(2) : ratio.toPrecision(1);
}

function range({ min, max }: Spread, format: (value: number) => string): string {
  return `${format(min)}-${format(max)}`;
}
