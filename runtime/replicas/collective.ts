/**
 * What replicas tell each other, in memory that their threads share: a row of gradients for each of them, and one of the parameters.
 * A replica writes its own gradients, sums those of its part over all rows, always in the same order, and publishes the parameters that
 * it has updated from them.
 */
export class SharedState {
  readonly #rows: readonly Float32Array[];
  readonly #parameters: Float32Array;
  readonly #own: Float32Array;
  readonly #places: readonly Place[];

  /** The memory for parameters of so many values. */
  static allocate(sizes: readonly number[], replicas: number): SharedArrayBuffer {
    return new SharedArrayBuffer(Float32Array.BYTES_PER_ELEMENT * total(sizes) * (replicas + 1));
  }

  /** The view of one replica, counted from 0. */
  constructor(memory: SharedArrayBuffer, sizes: readonly number[], replicas: number, index: number) {
    const size = total(sizes);
    const row = (i: number) => new Float32Array(memory, Float32Array.BYTES_PER_ELEMENT * size * i, size);
    this.#rows = Array.from({ length: replicas }, (_, i) => row(i));
    this.#parameters = row(replicas);
    this.#own = row(index);
    this.#places = placesOf(sizes);
  }

  /** Adds weighted gradients to the replica's row, or puts them there to start it anew. */
  add(gradients: readonly Float32Array[], weight: number, reset: boolean): void {
    for (const [i, { from, to }] of this.#places.entries()) {
      const [row, gradient] = [this.#own.subarray(from, to), valuesAt(gradients, i)];
      if (reset) for (let k = 0; k < row.length; k++) row[k] = weight * (gradient[k] ?? 0);
      else for (let k = 0; k < row.length; k++) row[k] = (row[k] ?? 0) + weight * (gradient[k] ?? 0);
    }
  }

  /** Fills the replica's row with zeros. */
  clear(): void {
    this.#own.fill(0);
  }

  /** Sums some parameters' gradients over all replicas into `gradients`; to be called when all rows are written. */
  sum(gradients: readonly Float32Array[], parameters: Iterable<number>): void {
    const [first, ...others] = this.#rows;
    for (const i of parameters) {
      const { from, to } = placeAt(this.#places, i);
      const gradient = valuesAt(gradients, i);
      if (first) gradient.set(first.subarray(from, to));
      for (const other of others) {
        const row = other.subarray(from, to);
        for (let k = 0; k < row.length; k++) gradient[k] = (gradient[k] ?? 0) + (row[k] ?? 0);
      }
    }
  }

  /** Hands on the values of some parameters. */
  publish(values: readonly Float32Array[], parameters: Iterable<number>): void {
    for (const i of parameters) this.#parameters.set(valuesAt(values, i), placeAt(this.#places, i).from);
  }

  /** Copies what other replicas have handed on of some parameters. */
  read(values: readonly Float32Array[], parameters: Iterable<number>): void {
    for (const i of parameters) {
      const { from, to } = placeAt(this.#places, i);
      valuesAt(values, i).set(this.#parameters.subarray(from, to));
    }
  }
}

/**
 * Deals parameters of so many values out to replicas, in runs of nearly equal size: for each replica the indices of those that it
 * updates. The last ones get none where the parameters do not go round.
 */
export function dealOut(sizes: readonly number[], replicas: number): number[][] {
  const all = total(sizes);
  const parts: number[][] = Array.from({ length: replicas }, () => []);
  for (const [i, { from, to }] of placesOf(sizes).entries()) {
    parts[Math.floor((((from + to) / 2) * replicas) / all)]?.push(i);
  }
  return parts.sort((a, b) => Number(a.length === 0) - Number(b.length === 0));
}

/** Where a parameter lies in a row. */
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

function placeAt(places: readonly Place[], index: number): Place {
  const place = places[index];
  if (!place) throw new RangeError(`there is no parameter ${index}`);
  return place;
}

function valuesAt(values: readonly Float32Array[], index: number): Float32Array {
  const found = values[index];
  if (!found) throw new RangeError(`there are no values of parameter ${index}`);
  return found;
}

function total(sizes: readonly number[]): number {
  return sizes.reduce((sum, size) => sum + size, 0);
}
