/**
 * The gradients of all replicas in memory that their threads share: a row for each replica, and one for their sum. A replica
 * writes its own row, then sums a part of all rows, so that every number is summed once and always in the same order.
 */
export class SharedGradients {
  readonly #rows: readonly Float32Array[];
  readonly #sum: Float32Array;
  readonly #own: Float32Array;
  readonly #index: number;

  /** The memory for `size` values of so many replicas. */
  static allocate(size: number, replicas: number): SharedArrayBuffer {
    return new SharedArrayBuffer(Float32Array.BYTES_PER_ELEMENT * size * (replicas + 1));
  }

  /** The view of one replica, counted from 0. */
  constructor(memory: SharedArrayBuffer, replicas: number, index: number) {
    const size = memory.byteLength / Float32Array.BYTES_PER_ELEMENT / (replicas + 1);
    const row = (i: number) => new Float32Array(memory, Float32Array.BYTES_PER_ELEMENT * size * i, size);
    this.#rows = Array.from({ length: replicas }, (_, i) => row(i));
    this.#sum = row(replicas);
    this.#own = row(index);
    this.#index = index;
  }

  /** Starts the replica's row anew. */
  reset(): void {
    this.#own.fill(0);
  }

  /** Adds weighted gradients, one after the other, to the replica's row. */
  add(gradients: readonly Float32Array[], weight: number): void {
    let offset = 0;
    for (const gradient of gradients) {
      const row = this.#own.subarray(offset, offset + gradient.length);
      for (let i = 0; i < row.length; i++) row[i] = (row[i] ?? 0) + weight * (gradient[i] ?? 0);
      offset += gradient.length;
    }
  }

  /** Sums the replica's part of the rows; to be called by every replica when all rows are written. */
  sumPart(): void {
    const { length } = this.#sum;
    const bound = (index: number) => Math.floor((index * length) / this.#rows.length);
    const [from, to] = [bound(this.#index), bound(this.#index + 1)];
    for (let i = from; i < to; i++) {
      let sum = 0;
      for (const row of this.#rows) sum += row[i] ?? 0;
      this.#sum[i] = sum;
    }
  }

  /** Copies the sum into gradients, one after the other; to be called when all parts are summed. */
  read(gradients: readonly Float32Array[]): void {
    let offset = 0;
    for (const gradient of gradients) {
      gradient.set(this.#sum.subarray(offset, offset + gradient.length));
      offset += gradient.length;
    }
  }
}
