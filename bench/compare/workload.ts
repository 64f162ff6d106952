/** A float32 tensor: a parameter, a running statistic, or a part of the batch. */
export interface Array32 {
  readonly dims: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/** The network and the batch that every peer trains. */
export interface WorkloadSettings {
  readonly depth: number;
  readonly width: number;
  readonly batchSize: number;
  readonly threads: number;
}

/** The learning rate. It is so small that the loss of the repeated batch falls smoothly. */
export const LEARNING_RATE = 0.01;

/** The names of a workload's files in its folder. */
export const workloadFiles = {
  settings: "workload.json",
  tensors: "tensors.bin",
  /** The exported network with the weights of `tensors`. */
  model: "model.onnx",
} as const;

/** What every `workload.json` says; `tensors` has the names and sizes in the order of `tensors.bin`. */
export interface SharedWorkload {
  readonly threads: number;
  readonly learningRate: number;
  readonly tensors: readonly (readonly [name: string, dims: readonly number[]])[];
}

/** The `workload.json` of our own network. */
export interface WorkloadFile extends WorkloadSettings, SharedWorkload {
  readonly momentum: number;
  readonly weightDecay: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** The bytes of `tensors.bin`. */
export function workloadBytes(tensors: readonly (readonly [string, Array32])[]): Uint8Array {
  const parts = tensors.map(([, { data }]) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return Buffer.concat(parts);
}

/** Reads the tensors of a workload from the bytes of `tensors.bin`. Returns them by name. */
export function readTensors(
  { tensors }: SharedWorkload,
  bytes: ArrayBuffer,
): Readonly<Record<string, Array32>> {
  let offset = 0;
  const named = tensors.map(([name, dims]) => {
    const count = dims.reduce((product, dim) => product * dim, 1);
    const data = new Float32Array(bytes, offset, count);
    offset += 4 * count;
    return [name, { dims, data }] as const;
  });
  return Object.fromEntries(named);
}
