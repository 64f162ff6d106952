import { availableParallelism } from "node:os";
import {
  decodeModel,
  loweringOf,
  RandomStream,
  runPasses,
  trainingPasses,
  UserError,
} from "../../graph-builder/index.ts";
import {
  type Device,
  type NamedTensors,
  type Trainer,
  TrainingSession,
  type TrainingSources,
} from "../../runtime/index.ts";
import { measurePeak } from "../../runtime/measure/peak.ts";
import { openDevice, ReplicatedSession } from "../../runtime/node/index.ts";
import { type OperatorTime, Profiler } from "../../runtime/node/profile.ts";
import type { ShakeNetManifest } from "../../shakenet/index.ts";
import { buildTrainingArtifacts, shakeCoefficients } from "../../shakenet/index.ts";
import type { Command } from "../flags.ts";
import { formatRate, openProgress } from "../progress.ts";
import {
  artifactSettings,
  expectShareable,
  replicaCount,
  runConfig,
  type Settings,
  settingsOf,
  withDefaults,
} from "../settings.ts";
import { formatFields, formatLarge, formatTable } from "../tables.ts";

const settings = [
  "depth",
  "width",
  "batchSize",
  "device",
  "threads",
  "replicas",
  ...settingsOf("Benchmark"),
  "config",
  "json",
] as const;
type BenchSettings = Omit<Settings<(typeof settings)[number]>, "replicas"> & { readonly replicas: number };

/** `shake bench`: times training steps on random images. */
export const benchCommand: Command<(typeof settings)[number]> = {
  settings,
  async run(given) {
    const config = resolveReplicas(withDefaults(settings, given));
    const device = await openBenchDevice(config);
    const profiler = config.profile ? await openProfiler(device, config) : undefined;
    try {
      const measured = await measureSteps(config, profiler?.device ?? device, profiler);
      const result = summarize(config, measured, await measurePeak(device));
      process.stdout.write(config.json ? `${JSON.stringify(result)}\n` : `${describe(result)}\n`);
    } finally {
      await profiler?.close();
    }
    return 0;
  },
};

/** Throws UserError where the steps cannot be shared. */
function resolveReplicas(config: Settings<(typeof settings)[number]>): BenchSettings {
  const engine = "onnxruntime";
  // a profile and a lowering are those of one session
  const isAlone = config.replicas === "auto" && (config.profile || config.lowering !== undefined);
  const replicas = isAlone ? 1 : replicaCount({ ...config, engine });
  expectShareable({ ...config, engine, replicas });
  return { ...config, replicas };
}

/** The device, all replicas' threads together, with the lowering that was asked for. */
async function openBenchDevice(config: BenchSettings): Promise<Device> {
  const { device: name, replicas, lowering } = config;
  const device = await openDevice(name, {
    threads: replicas > 1 ? threadsOf(config) * replicas : config.threads,
  });
  if (lowering === undefined) return device;
  return { ...device, lowering: loweringOf(lowering) };
}

/** Of every session's operators. */
function threadsOf({ threads, device, replicas }: BenchSettings): number {
  return threads ?? (device === "wasm" || replicas > 1 ? 1 : availableParallelism());
}

async function openProfiler(device: Device, { replicas }: BenchSettings): Promise<Profiler> {
  if (replicas > 1) throw new UserError("--profile looks into one session: leave --replicas out.");
  if (device.name === "wasm") {
    throw new UserError("--profile does not go with --device wasm, whose profile cannot be read.");
  }
  return Profiler.open(device);
}

interface Measured {
  readonly manifest: ShakeNetManifest;
  /** From the artifacts to a session that can step, in milliseconds. */
  readonly sessionStart: number;
  /** Of every timed step. */
  readonly milliseconds: readonly number[];
  readonly peakRssMb: number;
  readonly operators: readonly OperatorTime[] | undefined;
}

async function measureSteps(config: BenchSettings, device: Device, profiler?: Profiler): Promise<Measured> {
  const { depth, width, steps, warmup, batchSize } = config;
  const artifacts = buildTrainingArtifacts(artifactSettings(runConfig({ depth, width }), "ort-training"));
  const { checkpoint, trainingModel, optimizerModel, manifest } = artifacts;
  const start = performance.now();
  const session = await openSession({ checkpoint, trainingModel, optimizerModel }, device, config);
  const sessionStart = performance.now() - start;
  const feeds = randomBatch(device, batchSize, manifest.blocks);
  const milliseconds: number[] = [];
  const progress = openProgress();
  for (let step = 0; step < warmup + steps; step++) {
    const time = await timeStep(session, feeds);
    if (step >= warmup) milliseconds.push(time);
    progress.update(step + 1, warmup + steps, `step ${step + 1}/${warmup + steps}  ${time.toFixed(0)} ms`);
  }
  progress.stop();
  const peakRssMb = (process.resourceUsage().maxRSS * 1024) / 1e6;
  const { graph } = decodeModel(trainingModel, "training_model.onnx");
  const lowered = runPasses(graph, trainingPasses(device.lowering));
  const operators = await profiler?.finish({ graph: lowered, batchSize, warmup });
  await session.release();
  return { manifest, sessionStart, milliseconds, peakRssMb, operators };
}

async function openSession(
  sources: TrainingSources,
  device: Device,
  config: BenchSettings,
): Promise<TrainingSession | ReplicatedSession> {
  const { replicas } = config;
  if (replicas === 1) return TrainingSession.create(sources, device);
  const { lowering } = device;
  return ReplicatedSession.create(sources, { replicas, threads: threadsOf(config), lowering });
}

/** The milliseconds of a training step with its update. */
async function timeStep(session: Trainer, feeds: NamedTensors): Promise<number> {
  const start = performance.now();
  session.learningRate = 0.01;
  session.lazyResetGrad();
  const { loss } = await session.runTrainStep(feeds);
  await session.runOptimizerStep();
  const time = performance.now() - start;
  if (!Number.isFinite(Number(loss?.data[0]))) throw new Error(`the loss is ${loss?.data[0]}`);
  return time;
}

/** Random pixels and labels, with the coefficients of a first step. */
function randomBatch({ ort }: Device, batch: number, blocks: number): NamedTensors {
  const random = new RandomStream(1, "bench");
  const pixels = batch * 3 * 32 * 32;
  const images = Uint8Array.from({ length: pixels }, (_, i) => random.integer(i, 256));
  const labels = BigInt64Array.from({ length: batch }, (_, i) => BigInt(random.integer(pixels + i, 10)));
  const scheme = { forward: "shake", backward: "shake", level: "image" } as const;
  const { alpha, beta } = shakeCoefficients({ ...scheme, seed: 1, blocks, batch }, 0);
  const coefficients = (data: Float32Array) =>
    new ort.Tensor("float32", data as Float32Array<ArrayBuffer>, [blocks, batch]);
  return {
    images: new ort.Tensor("uint8", images, [batch, 3, 32, 32]),
    labels: new ort.Tensor("int64", labels, [batch]),
    alpha: coefficients(alpha),
    beta: coefficients(beta),
  };
}

type Result = ReturnType<typeof summarize>;

function summarize(
  config: BenchSettings,
  { manifest: { network, cost }, sessionStart, milliseconds, peakRssMb, operators }: Measured,
  peak: number,
) {
  const { batchSize, device, replicas, lowering, steps } = config;
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

function describe({ profile, ...result }: Result): string {
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
  return profile ? `${fields}\n\n${describeProfile(profile, step_ms.median)}` : fields;
}

/** The operators that take a hundredth of the step or more, with the others in one line. */
function describeProfile(profile: NonNullable<Result["profile"]>, stepMs: number): string {
  const row = ({ operator, calls, ms, share, gflops, share_of_peak }: (typeof profile)[number]) => [
    operator,
    Math.round(calls),
    ms.toFixed(2),
    percent(share),
    gflops === undefined ? "" : formatRate(gflops),
    share_of_peak === undefined ? "" : percent(share_of_peak),
  ];
  const [large, small] = [true, false].map((isLarge) =>
    profile.filter(({ share }) => share >= 0.01 === isLarge),
  );
  const sum = (times: typeof profile, key: "ms" | "calls") =>
    times.reduce((total, time) => total + time[key], 0);
  const others = {
    operator: `${small?.length ?? 0} others`,
    calls: sum(small ?? [], "calls"),
    ms: sum(small ?? [], "ms"),
  };
  const outside = { operator: "outside of kernels", calls: 0, ms: stepMs - sum(profile, "ms") };
  const rest = [others, outside].map((time) => row({ ...time, share: time.ms / stepMs }));
  return formatTable(
    ["operator", "calls", "ms a step", "share", "GFLOP/s", "of peak"],
    [...(large ?? []).map(row), ...rest],
  );
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = 0, high = 0] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[middle]];
  return (low + high) / 2;
}
