import { cpus } from "node:os";
import { formatRate } from "../../cli/progress.ts";
import { formatTable } from "../../cli/tables.ts";
import type { Measured, Refused } from "./comparison.ts";
import type { ComparisonOptions } from "./options.ts";
import { eagerPeers, type PeerName, peers } from "./peers.ts";
import { fastestOf, pairedRatio, type Spread, spreadOf } from "./statistics.ts";

type Row = Measured | Refused;

/** What a comparison found, as `--json` prints it. */
export type Report = ReturnType<typeof summarize>;

/** The numbers of a comparison: ratios are of rates in the same round. */
export function summarize(options: ComparisonOptions, rows: readonly Row[]) {
  const { depth, width, batchSize, threads, rounds, steps } = options;
  const ratesOf = (names: readonly PeerName[]) =>
    rows.flatMap((row) => ("rates" in row && names.includes(row.name) ? [row.rates] : []));
  const eager = fastestOf(ratesOf(eagerPeers));
  const [tfjs = []] = ratesOf(["tfjs"]);
  return {
    network: `${depth} 2x${width}d`,
    batch_size: batchSize,
    threads,
    rounds,
    steps_a_round: steps,
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    node: process.version,
    peers: rows.map((row) => {
      const { label } = peers[row.name];
      if ("reason" in row) {
        return {
          name: row.name,
          label,
          version: row.version,
          loss_deviation: row.deviation,
          reason: row.reason,
        };
      }
      return {
        name: row.name,
        label,
        version: row.version,
        batch_size: row.batchSize,
        images_per_second: spreadOf(row.rates),
        of_pytorch_eager: pairedRatio(row.rates, eager),
        of_tfjs: pairedRatio(row.rates, tfjs),
        n: row.steps,
        rates: row.rates,
        loss_deviation: row.deviation,
        peak_rss_mb: row.peakRssMb,
      };
    }),
  };
}

/** The same as a table. */
export function describe(report: Report): string {
  const { network, batch_size, threads, rounds, steps_a_round, cpu, cores, node } = report;
  const header = [
    "",
    "images/s",
    "min-max",
    "of PyTorch eager",
    "min-max",
    "of tfjs",
    "n",
    "loss off by",
    "MB",
    "what",
  ];
  const body = report.peers.map((peer) => {
    const { label, version = "", loss_deviation } = peer;
    const off = loss_deviation === undefined ? "" : loss_deviation.toExponential(0);
    if ("reason" in peer) return [label, "-", "", "-", "", "-", "0", off, "", peer.reason];
    const { images_per_second: rate, of_pytorch_eager: ratio, of_tfjs, n, peak_rss_mb } = peer;
    return [
      ...[label, formatRate(rate.median), range(rate, formatRate)],
      ...(ratio ? [ratio.median.toFixed(2), range(ratio, (value) => value.toFixed(2))] : ["-", ""]),
      ...[of_tfjs ? formatRate(of_tfjs.median) : "-", String(n), off, peak_rss_mb?.toFixed(0) ?? "-"],
      peer.batch_size === batch_size ? version : `${version}; batch ${peer.batch_size}`,
    ];
  });
  return [
    `${network}, batch ${batch_size}, ${threads} threads, ${rounds} rounds of ${steps_a_round} steps; ${cpu}, ${cores} cores, Node ${node}`,
    "",
    formatTable(header, body),
  ].join("\n");
}

function range({ min, max }: Spread, format: (value: number) => string): string {
  return `${format(min)}-${format(max)}`;
}
