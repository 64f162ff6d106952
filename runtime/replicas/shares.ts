import type * as Ort from "onnxruntime-common";
import { UserError } from "../../graph-builder/errors.ts";
import type { Graph } from "../../graph-builder/ir.ts";
import type { NamedTensors } from "../session/training-session.ts";

type TensorData = Exclude<Ort.Tensor["data"], string[]>;

/** A tensor as it travels between threads. */
export interface PlainTensor {
  readonly type: Ort.Tensor.Type;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

/** Plain tensors by the name of the graph's input or output. */
export type PlainTensors = Readonly<Record<string, PlainTensor>>;

/** A part of a batch, or what came of it; the weights of a batch's shares add up to 1. */
export interface Share {
  readonly tensors: PlainTensors;
  readonly weight: number;
}

/** The axis along which an input or output of a graph lists the images, by its name; none for those without one. */
export type BatchAxes = ReadonlyMap<string, number>;

/** The axes whose size is the symbol `batch`. */
export function batchAxes({ inputs, outputs }: Graph): BatchAxes {
  const axes = [...inputs, ...outputs].map(({ name = "", type }): [string, number] => [
    name,
    type.kind === "tensor" ? type.shape.indexOf("batch") : -1,
  ]);
  return new Map(axes.filter(([, axis]) => axis >= 0));
}

/**
 * Cuts a batch into at most `count` contiguous shares whose sizes differ by 1 at most, the first the largest; what lists no images
 * goes whole into each. Throws UserError where the feeds disagree about the number of images.
 */
export function splitBatch(feeds: NamedTensors, axes: BatchAxes, count: number): Share[] {
  const batch = batchSize(feeds, axes);
  const shares = Math.max(1, Math.min(count, batch));
  return Array.from({ length: shares }, (_, i) => {
    const [from, to] = [Math.ceil((i * batch) / shares), Math.ceil(((i + 1) * batch) / shares)];
    const tensors = mapTensors(feeds, (tensor, name) => {
      const axis = axes.get(name);
      return axis === undefined ? plainTensor(tensor) : cut(tensor, axis, from, to);
    });
    return { tensors, weight: (to - from) / batch };
  });
}

/**
 * The outputs of a batch from those of its shares: what lists images is joined, other floats are averaged by the shares' weights
 * (a loss), integers are added (a count). Throws UserError for an output of another type.
 */
export function joinShares(shares: readonly Share[], axes: BatchAxes): PlainTensors {
  const weights = shares.map(({ weight }) => weight);
  return mapTensors(shares[0]?.tensors ?? {}, (_, name) => {
    const parts = shares.flatMap(({ tensors }) => tensors[name] ?? []);
    const axis = axes.get(name);
    return axis === undefined ? merge(parts, weights, name) : concatenate(parts, axis);
  });
}

/** Copies of tensors, without their class. */
export function plainTensors(tensors: NamedTensors): PlainTensors {
  return mapTensors(tensors, plainTensor);
}

/** ONNX Runtime's tensors over the same data. */
export function namedTensors(tensors: PlainTensors, { Tensor }: Pick<typeof Ort, "Tensor">): NamedTensors {
  return mapTensors(
    tensors,
    ({ type, dims, data }) => new Tensor(type as "float32", data as Float32Array<ArrayBuffer>, dims),
  );
}

function mapTensors<A, B>(
  tensors: Readonly<Record<string, A>>,
  change: (tensor: A, name: string) => B,
): Record<string, B> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, change(tensor, name)]));
}

/** A view would travel with all that it is a view of, so the data are copied. */
function plainTensor({ type, dims, data }: Ort.Tensor): PlainTensor {
  return { type, dims, data: (data as Float32Array).slice() };
}

function batchSize(feeds: NamedTensors, axes: BatchAxes): number {
  const sizes = Object.entries(feeds).flatMap(([name, { dims }]) => {
    const axis = axes.get(name);
    return axis === undefined ? [] : [{ name, size: dims[axis] }];
  });
  const batch = sizes[0]?.size ?? 1;
  if (sizes.every(({ size }) => size === batch)) return batch;
  const counts = sizes.map(({ name, size }) => `${name} has ${size ?? "none"}`).join(", ");
  throw new UserError(`The inputs disagree about the number of images: ${counts}.`, {
    code: "input-shape",
    details: { sizes: Object.fromEntries(sizes.map(({ name, size }) => [name, size])) },
  });
}

function cut({ type, dims, data }: Ort.Tensor, axis: number, from: number, to: number): PlainTensor {
  const inner = product(dims.slice(axis + 1));
  const row = product(dims.slice(axis));
  const pieces = Array.from({ length: product(dims.slice(0, axis)) }, (_, i) =>
    (data as Float32Array).subarray(i * row + from * inner, i * row + to * inner),
  );
  return { type, dims: dims.with(axis, to - from), data: join(pieces) };
}

function concatenate(parts: readonly PlainTensor[], axis: number): PlainTensor {
  const { type, dims } = firstOf(parts);
  const rows = product(dims.slice(0, axis));
  const pieces = Array.from({ length: rows }, (_, i) =>
    parts.map(({ data }) => {
      const width = data.length / rows;
      return (data as Float32Array).subarray(i * width, (i + 1) * width);
    }),
  );
  const size = parts.reduce((sum, part) => sum + (part.dims[axis] ?? 0), 0);
  return { type, dims: dims.with(axis, size), data: join(pieces.flat()) };
}

/** Pieces of one type in one array of that type. */
function join(pieces: readonly Float32Array[]): Float32Array {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const whole = new (firstOf(pieces).constructor as Float32ArrayConstructor)(length);
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.length;
  }
  return whole;
}

function merge(parts: readonly PlainTensor[], weights: readonly number[], name: string): PlainTensor {
  const { type, dims, data } = firstOf(parts);
  if (/^float(32|64)$/.test(type)) {
    const mean = (i: number) =>
      parts.reduce((sum, part, share) => sum + Number(part.data[i]) * (weights[share] ?? 0), 0);
    return { type, dims, data: (data as Float32Array).map((_, i) => mean(i)) };
  }
  if (!/^u?int/.test(type)) {
    throw new UserError(`The output ${name} is ${type} and does not list images: replicas cannot join it.`, {
      code: "output-type",
      details: { output: name, type },
    });
  }
  const add = (i: number) => parts.map((part) => part.data[i] as number).reduce((sum, value) => sum + value);
  return { type, dims, data: (data as Int32Array).map((_, i) => add(i)) };
}

function firstOf<T>([first]: readonly T[]): T {
  if (first === undefined) throw new Error("a batch has one share at least");
  return first;
}

function product(dims: readonly number[]): number {
  return dims.reduce((size, dim) => size * dim, 1);
}
