import { UserError } from "../../../graph-builder/errors.ts";
import type { StepPrecision } from "../../../graph-builder/passes/fused-step/precision.ts";
import type { DeviceName } from "../../device/names.ts";
import { coresOfRank } from "../mpi/launcher.ts";

/**
 * The engine of a training step: sessions of the installed ONNX Runtime, or the TrainingSession of version
 * 1.19.2.
 */
export const engineNames = ["onnxruntime", "ort-training"] as const;
export type EngineName = (typeof engineNames)[number];

/** The engine, device and parallelism of a training. */
export interface EngineSettings {
  readonly engine: EngineName;
  readonly device: DeviceName;
  /** CPU threads of each session; the engine's default where undefined. */
  readonly threads?: number | undefined;
  /** Sessions of this process that share each batch, or the part of it that is this rank's. */
  readonly replicas: number;
  /** Processes that share each batch, each with as many replicas; 1 where left out. */
  readonly ranks?: number | undefined;
  readonly batchSize: number;
  /** float32 where left out. */
  readonly precision?: StepPrecision | undefined;
  /** The most steps that a session takes in one call; where left out, a step is several calls. */
  readonly stepsPerCall?: number | undefined;
}

/** Whether the whole step is one graph, of which the session takes several in one call. */
export function isChunked({
  precision = "float32",
  stepsPerCall,
}: Pick<EngineSettings, "precision" | "stepsPerCall">): boolean {
  return precision !== "float32" || stepsPerCall !== undefined;
}

/** The flag by which a session takes whole steps. */
export function wholeFlag(precision: StepPrecision): string {
  return precision === "float32" ? "--steps-per-call" : `--precision ${precision}`;
}

/** The devices that run ai.onnx Scan, which takes several steps in one call. */
const scanning: readonly DeviceName[] = ["cpu", "cuda", "wasm"];

/** The paper trains with batches of 128 on two GPUs, so its batch normalisation sees 64 images. */
const IMAGES_PER_REPLICA = 64;

/**
 * Resolves the number of replicas. `auto` is one replica per core of this rank, each with 64 images of a
 * batch or more. A GPU, the engine ort-training, mixed precision, several steps a call and a given number of
 * threads take one session.
 */
export function replicaCount({
  replicas,
  ranks = 1,
  engine,
  device,
  batchSize,
  threads,
  precision,
  stepsPerCall,
}: Omit<EngineSettings, "replicas"> & { readonly replicas: number | "auto" }): number {
  if (replicas !== "auto") return replicas;
  const isWhole = isChunked({ precision, stepsPerCall });
  const isShared = engine === "onnxruntime" && device === "cpu" && threads === undefined && !isWhole;
  const shares = Math.floor(batchSize / ranks / IMAGES_PER_REPLICA);
  return isShared ? Math.max(1, Math.min(coresOfRank(), shares)) : 1;
}

/** Throws UserError where the engine cannot train on the device, or with that number of replicas. */
export function expectTrainable(settings: EngineSettings): void {
  const { engine, device, replicas, ranks = 1, batchSize, precision = "float32" } = settings;
  const isAlone = replicas === 1;
  const sessions = replicas * ranks;
  const whose = ranks === 1 ? "" : ` on each of ${ranks} ranks`;
  const whole = isChunked(settings) && wholeFlag(precision);
  const conflicts: readonly (readonly [isOne: boolean, message: string])[] = [
    [
      !isAlone && engine === "ort-training",
      `--engine ort-training trains one session: leave --replicas ${replicas} out.`,
    ],
    [!isAlone && device !== "cpu", `--replicas ${replicas} share the CPU, not ${device}: give --device cpu.`],
    [
      sessions > 1 && sessions > batchSize,
      `--replicas ${replicas}${whose} is too many: a batch has ${batchSize} images.`,
    ],
    [
      ranks > 1 && (engine === "ort-training" || whole !== false),
      `${whole || `--engine ${engine}`} trains one session: start one rank instead of ${ranks}.`,
    ],
    [ranks > 1 && device !== "cpu", `${ranks} ranks train on the CPU, not on ${device}: give --device cpu.`],
    [
      engine === "ort-training" && device !== "cpu",
      `--engine ort-training trains on the CPU, not on ${device}: give --device cpu.`,
    ],
    [whole !== false && engine === "ort-training", `${whole} does not go with --engine ort-training.`],
    [whole !== false && !isAlone, `${whole} trains one session: leave --replicas ${replicas} out.`],
    [
      precision === "bfloat16" && device !== "cuda",
      `--precision bfloat16 does not work on ${device}, whose ONNX Runtime has no bfloat16 operators: give --device cuda.`,
    ],
    [
      whole !== false && !scanning.includes(device),
      `${whole} does not work on ${device}, which has no Scan: give --device ${scanning.join(", ")}.`,
    ],
  ];
  const conflict = conflicts.find(([isOne]) => isOne);
  if (!conflict) return;
  const details = { engine, device, replicas, batchSize, precision };
  throw new UserError(conflict[1], { code: "setting-conflict", details });
}
