import { availableParallelism } from "node:os";
import { UserError } from "../../../graph-builder/errors.ts";
import type { DeviceName } from "../../device/names.ts";

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
  /** Sessions that share each batch. */
  readonly replicas: number;
  readonly batchSize: number;
}

/** The paper trains with batches of 128 on two GPUs, so its batch normalisation sees 64 images. */
const IMAGES_PER_REPLICA = 64;

/**
 * Resolves the number of replicas. `auto` is one replica per core, each with 64 images of a batch or more. A
 * GPU, the engine ort-training and a given number of threads take one session.
 */
export function replicaCount({
  replicas,
  engine,
  device,
  batchSize,
  threads,
}: Omit<EngineSettings, "replicas"> & { readonly replicas: number | "auto" }): number {
  if (replicas !== "auto") return replicas;
  const isShared = engine === "onnxruntime" && device === "cpu" && threads === undefined;
  const shares = Math.floor(batchSize / IMAGES_PER_REPLICA);
  return isShared ? Math.max(1, Math.min(availableParallelism(), shares)) : 1;
}

/** Throws UserError where the engine cannot train on the device, or with so many replicas. */
export function expectTrainable({ engine, device, replicas, batchSize }: EngineSettings): void {
  const isAlone = replicas === 1;
  const conflicts: readonly (readonly [isOne: boolean, message: string])[] = [
    [
      !isAlone && engine === "ort-training",
      `--engine ort-training trains one session: leave --replicas ${replicas} out.`,
    ],
    [!isAlone && device !== "cpu", `--replicas ${replicas} share the CPU, not ${device}: give --device cpu.`],
    [
      !isAlone && replicas > batchSize,
      `--replicas ${replicas} is too many: a batch has ${batchSize} images.`,
    ],
    [
      engine === "ort-training" && device !== "cpu",
      `--engine ort-training trains on the CPU, not on ${device}: give --device cpu.`,
    ],
  ];
  const conflict = conflicts.find(([isOne]) => isOne);
  if (!conflict) return;
  const details = { engine, device, replicas, batchSize };
  throw new UserError(conflict[1], { code: "setting-conflict", details });
}
