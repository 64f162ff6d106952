import { at } from "../../graph-builder/at.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { sumInto } from "./sum.ts";

/** What the replicas of a process share. */
export interface SharedLayout {
  /** The number of values of each parameter. */
  readonly sizes: readonly number[];
  /** The replicas of this process. */
  readonly replicas: number;
  /** Whether other processes have replicas too. */
  readonly hasRanks: boolean;
}

/**
 * The gradients and parameters of all replicas of a process in shared memory: a row of gradients for each
 * replica, and one row of parameters (reduce-scatter, then all-gather). A replica writes its own gradients,
 * sums the gradients of its part of the parameters over all rows, always in the same order, updates that part
 * and publishes it. Where there are other ranks, one more row has the sums: those of this process at first,
 * which `combine` writes, and those of all ranks after `sumOverRanks` of the row.
 */
export class SharedState {
  readonly #rows: readonly Float32Array[];
  readonly #parameters: Float32Array;
  readonly #own: Float32Array;
  readonly #sums: Float32Array | undefined;
  readonly #places: readonly Place[];

  /** Allocates the memory for a layout. Throws UserError where there is not so much. */
  static allocate({ sizes, replicas, hasRanks }: SharedLayout): SharedArrayBuffer {
    const rows = replicas + (hasRanks ? 2 : 1);
    const bytes = Float32Array.BYTES_PER_ELEMENT * total(sizes) * rows;
    try {
      return new SharedArrayBuffer(bytes);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      throw new UserError(
        `${replicas} replicas share ${(bytes / 1e9).toFixed(1)} GB of gradients and parameters, and there is not so much memory: take fewer replicas.`,
        { code: "replicas-unsupported", details: { reason: "memory", replicas, bytes }, cause: error },
      );
    }
  }

  /** The row of the sums, for `sumOverRanks`; undefined where there are no other ranks. */
  static sums(
    memory: SharedArrayBuffer,
    { sizes, replicas, hasRanks }: SharedLayout,
  ): Float32Array | undefined {
    return hasRanks ? rowOf(memory, total(sizes), replicas + 1) : undefined;
  }

  /** The view of one replica; `index` counts from 0. */
  constructor(memory: SharedArrayBuffer, layout: SharedLayout, index: number) {
    const { sizes, replicas } = layout;
    const row = (i: number) => rowOf(memory, total(sizes), i);
    this.#rows = Array.from({ length: replicas }, (_, i) => row(i));
    this.#parameters = row(replicas);
    this.#own = row(index);
    this.#sums = SharedState.sums(memory, layout);
    this.#places = placesOf(sizes);
  }

  /** Adds weighted gradients to the replica's row; where `reset`, overwrites the row with them. */
  add(gradients: readonly Float32Array[], weight: number, reset: boolean): void {
    for (const [i, { from, to }] of this.#places.entries()) {
      const [row, gradient] = [this.#own.subarray(from, to), valuesAt(gradients, i, to - from)];
      if (reset) for (let k = 0; k < row.length; k++) row[k] = weight * (gradient[k] ?? 0);
      else for (let k = 0; k < row.length; k++) row[k] = (row[k] ?? 0) + weight * (gradient[k] ?? 0);
    }
  }

  /** Fills the replica's row with zeros. */
  clear(): void {
    this.#own.fill(0);
  }

  /**
   * Writes some parameters' gradients, summed over the replicas of this process, into the row of the sums.
   * Call it when all replicas have written their rows.
   */
  combine(parameters: Iterable<number>): void {
    for (const i of parameters) {
      const { from, to } = at(this.#places, i);
      if (this.#sums) sumInto(this.#sums.subarray(from, to), this.#rowsBetween(from, to));
    }
  }

  /**
   * Writes some parameters' gradients, summed over all replicas, into `gradients`. Call it when all replicas
   * have written their rows; where there are other ranks, when the row of the sums is that of all ranks.
   */
  sum(gradients: readonly Float32Array[], parameters: Iterable<number>): void {
    for (const i of parameters) {
      const { from, to } = at(this.#places, i);
      const gradient = valuesAt(gradients, i, to - from);
      if (this.#sums) gradient.set(this.#sums.subarray(from, to));
      else sumInto(gradient, this.#rowsBetween(from, to));
    }
  }

  #rowsBetween(from: number, to: number): Float32Array[] {
    return this.#rows.map((row) => row.subarray(from, to));
  }

  /** Writes the values of some parameters into the shared row. */
  publish(values: readonly Float32Array[], parameters: Iterable<number>): void {
    for (const i of parameters) {
      const { from, to } = at(this.#places, i);
      this.#parameters.set(valuesAt(values, i, to - from), from);
    }
  }

  /** Copies some parameters that other replicas have published into `values`. */
  read(values: readonly Float32Array[], parameters: Iterable<number>): void {
    for (const i of parameters) {
      const { from, to } = at(this.#places, i);
      valuesAt(values, i, to - from).set(this.#parameters.subarray(from, to));
    }
  }
}

/**
 * Divides parameters of the given sizes among replicas, in contiguous parts of nearly equal size. Returns for
 * each replica the indices of the parameters that it updates. Where there are fewer parameters than replicas,
 * the last replicas get none.
 */
export function dealOut(sizes: readonly number[], replicas: number): number[][] {
  const all = Math.max(1, total(sizes));
  const parts: number[][] = Array.from({ length: replicas }, () => []);
  for (const [i, { from, to }] of placesOf(sizes).entries()) {
    const part = Math.floor((((from + to) / 2) * replicas) / all);
    // the middle of an empty parameter at the end is the end itself
    at(parts, Math.min(part, replicas - 1)).push(i);
  }
  return parts.sort((a, b) => Number(a.length === 0) - Number(b.length === 0));
}

function rowOf(memory: SharedArrayBuffer, size: number, index: number): Float32Array {
  return new Float32Array(memory, Float32Array.BYTES_PER_ELEMENT * size * index, size);
}

/** The range of a parameter in a row. */
interface Place {
  readonly from: number;
  readonly to: number;
}

function placesOf(sizes: readonly number[]): Place[] {
  let to = 0;
  return sizes.map((size) => {
    const from = to;
    to += size;
    return { from, to };
  });
}

/** The values of a parameter. Throws RangeError where their number is not `size`. */
function valuesAt(values: readonly Float32Array[], index: number, size: number): Float32Array {
  const found = at(values, index);
  if (found.length === size) return found;
  throw new RangeError(`parameter ${index} has ${found.length} values, not ${size}`);
}

function total(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size, 0);
}
