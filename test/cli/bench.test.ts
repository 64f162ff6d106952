import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { exchangeSeconds, projectHosts } from "../../cli/commands/bench/projection.ts";
import { decodeModel, flopsOf } from "../../graph-builder/index.ts";
import { type Link, sumOverRanks } from "../../runtime/replicas/ranks.ts";
import { buildTrainingArtifacts } from "../../shakenet/index.ts";
import { memoryLinks } from "../support/memory-links.ts";
import { shake, shakeWith, temporaryFolder } from "../support/shake.ts";
import { tinySettings } from "../support/tiny-run.ts";

const folder = temporaryFolder();
/** The folder for temporary files of the benchmarks, apart from those of other programs. */
const temporary = join(folder, "temporary");
mkdirSync(temporary);
const batchSize = 4;
const size = ["--depth", "8", "--width", "2", "--batch-size", String(batchSize), "--threads", "1"];
const artifacts = buildTrainingArtifacts(tinySettings());

interface Row {
  readonly operator: string;
  readonly calls: number;
  readonly ms: number;
  readonly share: number;
  readonly gflops?: number;
  readonly share_of_peak?: number;
}

interface Result {
  readonly images_per_second: number;
  readonly step_ms: { readonly median: number; readonly min: number; readonly max: number };
  readonly flops_per_image: number;
  readonly gflops: number;
  readonly peak_gflops: number;
  readonly peak_rss_mb: number;
  readonly peak_rss_mb_per_replica: number;
  readonly session_start_ms: number;
  readonly profile: readonly Row[];
  readonly hosts: ReturnType<typeof projectHosts>;
}

async function bench(...flags: string[]): Promise<Result> {
  const { code, stdout, stderr } = await shakeWith(
    { TMPDIR: temporary },
    folder,
    ...["bench", ...size, "--json", ...flags],
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout);
}

/** The FLOPs of a batch's step in the nodes of an operator. */
function flopsOfAll(opType: string): number {
  const { nodes } = decodeModel(artifacts.trainingModel, "training_model.onnx").graph;
  const flops = nodes.filter((node) => node.opType === opType).map((node) => flopsOf(node));
  return batchSize * flops.reduce((sum, value) => sum + value, 0);
}

test("the numbers of a benchmark belong together", async () => {
  const result = await bench("--steps", "3");
  expect(result).toMatchObject({
    network: "8 2x2d",
    batch_size: 4,
    device: "cpu",
    threads: 1,
    replicas: 1,
    steps: 3,
  });
  const { step_ms, images_per_second, flops_per_image, gflops } = result;
  expect(step_ms.min).toBeGreaterThan(0);
  expect(step_ms.min).toBeLessThanOrEqual(step_ms.median);
  expect(step_ms.median).toBeLessThanOrEqual(step_ms.max);
  expect(images_per_second).toBeCloseTo(4000 / step_ms.median, 6);
  const { forwardFlops, backwardFlops } = artifacts.manifest.cost;
  expect(flops_per_image).toBe(forwardFlops + backwardFlops);
  expect(gflops).toBeCloseTo((flops_per_image * images_per_second) / 1e9, 6);
  expect(result.peak_gflops).toBeGreaterThan(gflops);
  // a Node process with ONNX Runtime in it takes more than this, and this network needs little
  expect(result.peak_rss_mb).toBeGreaterThan(40);
  expect(result.peak_rss_mb).toBeLessThan(1000);
  expect(result.peak_rss_mb_per_replica).toBe(result.peak_rss_mb);
  expect(result.session_start_ms).toBeGreaterThan(1);
  expect(result.session_start_ms).toBeLessThan(20_000);
  expect(result.profile).toBeUndefined();
});

test("replicas are timed as they train, and share the memory that is told", async () => {
  const result = await bench("--steps", "2", "--replicas", "2");
  expect(result).toMatchObject({ threads: 1, replicas: 2, steps: 2 });
  expect(result.images_per_second).toBeCloseTo(4000 / result.step_ms.median, 6);
  expect(result.peak_rss_mb_per_replica).toBeCloseTo(result.peak_rss_mb / 2, 9);
  const { code, stdout } = await shake(folder, "bench", ...size, "--steps", "1", "--replicas", "auto");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^device +cpu, threads 1, replicas \d+$/m);
  expect(stdout).toMatch(/^start +[\d.]+ ms until the session can step$/m);
});

test("a profile tells convolutions by what they compute, with the FLOPs of the training graph", async () => {
  const { profile, step_ms, peak_gflops } = await bench(
    ...["--steps", "3", "--warmup", "1", "--lowering", "portable", "--profile"],
  );
  const row = (operator: string) => profile.find((candidate) => candidate.operator === operator);
  const flops = ({ gflops = 0, ms }: Partial<Row> = {}) => 1e6 * gflops * (ms ?? 0);
  expect(flops(row("Conv, forward"))).toBeCloseTo(flopsOfAll("Conv"), -1);
  expect(flops(row("ConvTranspose, dX"))).toBeGreaterThan(0);
  const gradients = flops(row("ConvTranspose, dX")) + flops(row("Conv, dW"));
  // the turned convolution of a strided layer also computes rows that are cut off
  expect(gradients / flopsOfAll("ConvGrad")).toBeGreaterThanOrEqual(1);
  expect(gradients / flopsOfAll("ConvGrad")).toBeLessThan(1.1);
  expect(row("Conv, forward")?.calls).toBe(19);
  expect(row("Relu")).toMatchObject({ calls: 10 });
  expect(row("Relu")).not.toHaveProperty("gflops");
  for (const { ms, share, gflops, share_of_peak } of profile) {
    expect(share).toBeCloseTo(ms / step_ms.median, 9);
    if (gflops !== undefined) expect(share_of_peak).toBeCloseTo(gflops / peak_gflops, 9);
  }
  expect(profile.map(({ ms }) => ms)).toEqual(profile.map(({ ms }) => ms).sort((a, b) => b - a));
  const total = profile.reduce((sum, { ms }) => sum + ms, 0);
  expect(total).toBeLessThan(step_ms.max);
  expect(total).toBeGreaterThan(step_ms.min / 20);
  expect(readdirSync(temporary).filter((name) => name.startsWith("shake-profile-"))).toEqual([]);
});

test("without --json the same is told in words, with a table of the operators", async () => {
  const { code, stdout } = await shake(folder, "bench", ...size, "--steps", "2", "--profile");
  expect(code).toBe(0);
  expect(stdout).toMatch(/^network +8 2x2d, batch 4\ndevice +cpu, threads 1, replicas 1\n/);
  expect(stdout).toMatch(/^images\/s +[\d.]+\nstep +[\d.]+ ms median of 2, [\d.]+ to [\d.]+\n/m);
  expect(stdout).toMatch(/^operator +calls +ms a step +share +GFLOP\/s +of peak$/m);
  // operators below a hundredth of the step are added up, and a busy machine shifts the shares
  expect(stdout).toMatch(/^[A-Z][\w, ]* +\d+ +[\d.]+ +[\d.]+ %/m);
  expect(stdout).toMatch(/^outside of kernels +0 /m);
});

test.each([
  [["--steps", "0"], /^--steps must be a whole number from 1, not 0\.$/],
  [["--warmup", "-1"], /^--warmup must be a whole number from 0, not -1\.$/],
  [["--lowering", "gpu"], /^--lowering must be one of cpu, portable, not gpu\./],
  [["--depth", "9"], /^A depth of 9 is not of the form 6n \+ 2/],
  [["--profile", "--replicas", "2"], /^--profile measures one session: leave --replicas out\.$/],
  [["--replicas", "2", "--device", "wasm"], /^--replicas 2 share the CPU, not wasm/],
  [["--replicas", "3", "--batch-size", "2"], /^--replicas 3 is too many: a batch has 2 images\.$/],
  [["--profile", "--device", "wasm"], /^--profile does not go with --device wasm/],
])("%s is refused in one sentence", async (flags, sentence) => {
  const { code, stdout, stderr } = await shake(folder, "bench", ...flags);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr.replace(/^shake: /, "").trim()).toMatch(sentence);
});

test("--hosts projects the exchanges of other hosts by the formula of the sums over ranks", async () => {
  const step = { seconds: 1, parameters: 12_500_000 };
  // 50 MB of gradients: each of two hosts sends a half and gets a half, twice; 400 Mbit
  expect(exchangeSeconds(step, 2, 1e9)).toBeCloseTo(0.4006, 9);
  expect(exchangeSeconds(step, 4, 1e9)).toBeCloseTo(0.6006, 9);
  expect(exchangeSeconds(step, 64, 1e10)).toBeCloseTo(0.07935, 9);
  const { hosts, step_ms } = await bench("--steps", "2", "--hosts");
  const { parameters } = artifacts.manifest;
  expect(hosts.rows.map((row) => row.hosts)).toEqual([2, 4, 8, 16, 32, 64]);
  const seconds = step_ms.median / 1000;
  for (const { hosts: count, bytes_sent_per_step, networks } of hosts.rows) {
    expect(bytes_sent_per_step).toBeCloseTo((8 * parameters * (count - 1)) / count, 6);
    expect(networks.map(({ gbit_per_second }) => gbit_per_second)).toEqual([1, 10]);
    for (const { gbit_per_second, exchange_seconds, efficiency } of networks) {
      expect(exchange_seconds).toBeCloseTo((8 * bytes_sent_per_step) / (1e9 * gbit_per_second) + 6e-4, 12);
      expect(efficiency).toBeCloseTo(seconds / (seconds + exchange_seconds), 12);
    }
  }
  const { stdout } = await shake(folder, "bench", ...size, "--steps", "1", "--hosts");
  expect(stdout).toContain("Projected, not measured: hosts like this one");
  expect(stdout).toMatch(/\n64 +0\.0281 +[\d.]+ +\d+\.\d %/);
});

test("the bytes of the projection are those that a rank sends", async () => {
  const parameters = 1003;
  for (const ranks of [2, 4]) {
    const sent = await Promise.all(
      memoryLinks(ranks).map(async (link) => {
        let bytes = 0;
        const counting: Link = {
          rank: link.rank,
          size: link.size,
          exchange(outgoing, incoming) {
            bytes += outgoing.reduce((sum, { length }, peer) => sum + (peer === link.rank ? 0 : length), 0);
            return link.exchange(outgoing, incoming);
          },
        };
        await sumOverRanks(counting, new Float32Array(parameters));
        return bytes;
      }),
    );
    const [row] = projectHosts({ seconds: 1, parameters }).rows.filter(({ hosts }) => hosts === ranks);
    const mean = sent.reduce((sum, bytes) => sum + bytes, 0) / ranks;
    expect(mean).toBeCloseTo(row?.bytes_sent_per_step ?? 0, 6);
  }
});

test("--hosts is refused on another device than the CPU", async () => {
  const { code, stderr } = await shake(folder, "bench", ...size, "--hosts", "--device", "wasm");
  expect(code).toBe(2);
  expect(stderr).toBe("shake: --hosts is about ranks, which train on the CPU: leave --device wasm out.\n");
});
