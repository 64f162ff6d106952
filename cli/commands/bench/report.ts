import { at } from "../../../graph-builder/at.ts";
import type { OperatorTime } from "../../../runtime/node/profile.ts";
import { formatFields, formatLarge, formatRate, formatTable } from "../../format.ts";
import type { BenchSettings } from "./command.ts";
import { type Measured, threadsOf } from "./measure.ts";
import { describeHosts, projectHosts } from "./projection.ts";

export type Result = ReturnType<typeof summarize>;

/** The result of a benchmark, as `--json` prints it. `peak` is the machine's peak in GFLOP/s. */
export function summarize(
  config: BenchSettings,
  { manifest: { network, cost, parameters }, sessionStart, milliseconds, peakRssMb, operators }: Measured,
  peak: number,
) {
  const { batchSize, device, replicas, lowering, steps, hosts } = config;
  const step_ms = {
    median: median(milliseconds),
    min: Math.min(...milliseconds),
    max: Math.max(...milliseconds),
  };
  const images_per_second = (1000 * batchSize) / step_ms.median;
  const flops_per_image = cost.forwardFlops + cost.backwardFlops;
  return {
    network,
    batch_size: batchSize,
    device,
    ...(lowering ? { lowering } : {}),
    threads: threadsOf(config),
    replicas,
    steps,
    session_start_ms: sessionStart,
    images_per_second,
    step_ms,
    peak_rss_mb: peakRssMb,
    peak_rss_mb_per_replica: peakRssMb / replicas,
    flops_per_image,
    gflops: (flops_per_image * images_per_second) / 1e9,
    peak_gflops: peak,
    ...(hosts ? { hosts: projectHosts({ seconds: step_ms.median / 1000, parameters }) } : {}),
    ...(operators ? { profile: operators.map((time) => profileRow(time, step_ms.median, peak)) } : {}),
  };
}

function profileRow({ operator, calls, milliseconds, flops }: OperatorTime, stepMs: number, peak: number) {
  const gflops = flops === undefined ? undefined : flops / (1e6 * milliseconds);
  return {
    operator,
    calls,
    ms: milliseconds,
    share: milliseconds / stepMs,
    ...(gflops === undefined ? {} : { gflops, share_of_peak: gflops / peak }),
  };
}

/** The result for people. */
export function describe({ profile, hosts, ...result }: Result): string {
  const { network, batch_size, device, lowering, threads, replicas, step_ms, gflops, peak_gflops } = result;
  const ms = (value: number) => (value < 100 ? value.toPrecision(3) : value.toFixed(0));
  const fields = formatFields({
    network: `${network}, batch ${batch_size}`,
    device: `${device}, threads ${threads}, replicas ${replicas}${lowering ? `, ${lowering} lowering` : ""}`,
    "images/s": formatRate(result.images_per_second),
    step: `${ms(step_ms.median)} ms median of ${result.steps}, ${ms(step_ms.min)} to ${ms(step_ms.max)}`,
    "FLOPs an image": formatLarge(result.flops_per_image),
    "GFLOP/s": `${formatRate(gflops)}, ${percent(gflops / peak_gflops)} of ${formatRate(peak_gflops)}, the best of large matrix products here`,
    start: `${ms(result.session_start_ms)} ms until the session can step`,
    memory: `${result.peak_rss_mb.toFixed(0)} MB at most${replicas > 1 ? `, ${result.peak_rss_mb_per_replica.toFixed(0)} MB a replica` : ""}`,
  });
  return [
    fields,
    ...(profile ? [describeProfile(profile, step_ms.median)] : []),
    ...(hosts ? [describeHosts(hosts)] : []),
  ].join("\n\n");
}

/** The operators that take 1 % of the step or more, and the others in one line. */
function describeProfile(profile: NonNullable<Result["profile"]>, stepMs: number): string {
  const row = ({ operator, calls, ms, share, gflops, share_of_peak }: (typeof profile)[number]) => [
    operator,
    Math.round(calls),
    ms.toFixed(2),
    percent(share),
    gflops === undefined ? "" : formatRate(gflops),
    share_of_peak === undefined ? "" : percent(share_of_peak),
  ];
  const large = profile.filter(({ share }) => share >= 0.01);
  const small = profile.filter((time) => !large.includes(time));
  const sum = (times: typeof profile, key: "ms" | "calls") =>
    times.reduce((total, time) => total + time[key], 0);
  const others = {
    operator: `${small.length} others`,
    calls: sum(small, "calls"),
    ms: sum(small, "ms"),
  };
  const outside = { operator: "outside of kernels", calls: 0, ms: stepMs - sum(profile, "ms") };
  const rest = [others, outside].map((time) => row({ ...time, share: time.ms / stepMs }));
  return formatTable(
    ["operator", "calls", "ms a step", "share", "GFLOP/s", "of peak"],
    [...large.map(row), ...rest],
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return (at(sorted, Math.ceil(sorted.length / 2) - 1) + at(sorted, middle)) / 2;
}
