import type * as Ort from "onnxruntime-common";
import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";
import type { Graph } from "../../graph-builder/ir.ts";
import { ownEntry } from "../../graph-builder/own-entry.ts";
import type { NamedTensors } from "../session/training-session.ts";

type TensorData = Exclude<Ort.Tensor["data"], string[]>;

/** A tensor as it is posted between threads. */
export interface PlainTensor {
  readonly type: Ort.Tensor.Type;
  readonly dims: readonly number[];
  readonly data: TensorData;
}

/** Plain tensors by the name of the graph's input or output. */
export type PlainTensors = Readonly<Record<string, PlainTensor>>;

/** A part of a batch, or its outputs. The weights of the shares of a batch add up to 1. */
export interface Share {
  readonly tensors: PlainTensors;
  readonly weight: number;
}

/** The batch axis of a graph's inputs and outputs by name; those without a batch axis have no entry. */
export type BatchAxes = ReadonlyMap<string, number>;

/** The axes whose size is the symbol of the batch. */
export function batchAxes({ inputs, outputs }: Graph, symbol = "batch"): BatchAxes {
  const axes = [...inputs, ...outputs].map(({ name = "", type }): [string, number] => [
    name,
    type.kind === "tensor" ? type.shape.findIndex((dim) => String(dim) === symbol) : -1,
  ]);
  return new Map(axes.filter(([, axis]) => axis >= 0));
}

/**
 * Cuts a batch into at most `count` contiguous shares, the largest first; their sizes differ by 1 at most.
 * Returns those from `first` up to `end`, all of them where left out. A feed without a batch axis goes whole
 * into each share. Throws UserError where the feeds disagree about the number of images.
 */
export function splitBatch(
  feeds: NamedTensors,
  axes: BatchAxes,
  count: number,
  first = 0,
  end = count,
): Share[] {
  const batch = batchSize(feeds, axes);
  const shares = Math.max(1, Math.min(count, batch));
  const indices = Array.from({ length: shares }, (_, i) => i).slice(first, end);
  return indices.map((i) => {
    const [from, to] = [Math.ceil((i * batch) / shares), Math.ceil(((i + 1) * batch) / shares)];
    const tensors = mapTensors(feeds, (tensor, name) => {
      const axis = axes.get(name);
      return axis === undefined ? plainTensor(tensor) : cut(tensor, axis, from, to);
    });
    return { tensors, weight: (to - from) / batch };
  });
}

/**
 * The outputs of a batch from those of its shares: outputs with a batch axis are concatenated, other floats
 * (a loss) are averaged by the shares' weights, and integers (a count) are added. Throws UserError for an
 * output of another type.
 */
export function joinShares(shares: readonly Share[], axes: BatchAxes): PlainTensors {
  const weights = shares.map(({ weight }) => weight);
  return mapTensors(at(shares, 0).tensors, (_, name) => {
    const parts = shares.map(({ tensors }) => expectTensor(tensors, name));
    const axis = axes.get(name);
    return axis === undefined ? merge(parts, weights, name) : concatenate(parts, axis);
  });
}

/** The feeds of several steps, all of one size, as one tensor an input with a new first axis. */
export function stackFeeds(steps: readonly NamedTensors[], ort: Pick<typeof Ort, "Tensor">): NamedTensors {
  const stacked = mapTensors(at(steps, 0), (_, name) => {
    const parts = steps.map((feeds) => {
      const { type, dims, data } = expectTensor(feeds, name);
      return { type, dims: [1, ...dims], data: data as TensorData };
    });
    return concatenate(parts, 0);
  });
  return namedTensors(stacked, ort);
}

/** Copies of tensors as plain objects. */
export function plainTensors(tensors: NamedTensors): PlainTensors {
  return mapTensors(tensors, plainTensor);
}

/** ONNX Runtime's tensors over the same data. */
export function namedTensors(tensors: PlainTensors, { Tensor }: Pick<typeof Ort, "Tensor">): NamedTensors {
  return mapTensors(tensors, ({ type, dims, data }) => new Tensor(type, data, dims));
}

function mapTensors<A, B>(
  tensors: Readonly<Record<string, A>>,
  change: (tensor: A, name: string) => B,
): Record<string, B> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, change(tensor, name)]));
}

/** Copies the data, because posting a view would copy its whole buffer. */
function plainTensor({ type, dims, data }: Ort.Tensor): PlainTensor {
  return { type, dims, data: (data as Float32Array).slice() };
}

function batchSize(feeds: NamedTensors, axes: BatchAxes): number {
  const sizes = Object.entries(feeds).flatMap(([name, { dims }]) => {
    const axis = axes.get(name);
    return axis === undefined ? [] : [{ name, size: dims[axis] }];
  });
  const [first] = sizes;
  if (!first) return 1;
  if (first.size !== undefined && sizes.every(({ size }) => size === first.size)) return first.size;
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
  const { type, dims } = at(parts, 0);
  const rows = product(dims.slice(0, axis));
  const pieces = Array.from({ length: rows }, (_, i) =>
    parts.map(({ data }) => {
      const width = data.length / rows;
      return (data as Float32Array).subarray(i * width, (i + 1) * width);
    }),
  );
  const size = parts.reduce((sum, part) => sum + at(part.dims, axis), 0);
  return { type, dims: dims.with(axis, size), data: join(pieces.flat()) };
}

/** Concatenates pieces of one type. */
function join(pieces: readonly Float32Array[]): Float32Array {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const whole = new (at(pieces, 0).constructor as Float32ArrayConstructor)(length);
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.length;
  }
  return whole;
}

function merge(parts: readonly PlainTensor[], weights: readonly number[], name: string): PlainTensor {
  const { type, dims, data } = at(parts, 0);
  if (/^float(32|64)$/.test(type)) {
    const mean = (i: number) =>
      parts.reduce((sum, part, share) => sum + Number(part.data[i]) * at(weights, share), 0);
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

function expectTensor<T>(tensors: Readonly<Record<string, T>>, name: string): T {
  const tensor = ownEntry(tensors, name);
  if (tensor) return tensor;
  throw new Error(`there is no tensor ${name}`);
}

function product(dims: readonly number[]): number {
  return dims.reduce((size, dim) => size * dim, 1);
}
