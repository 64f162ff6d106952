import { RandomStream } from "../../graph-builder/random.ts";

/** Draws one number after another from a stream. */
export class Dice {
  readonly #stream: RandomStream;
  #index = 0;

  constructor(seed: number, stream: string) {
    this.#stream = new RandomStream(seed, stream);
  }

  /** An integer in [0, bound). */
  below(bound: number): number {
    return this.#stream.integer(this.#index++, bound);
  }

  /** One of a list. */
  of<T>(list: readonly [T, ...T[]]): T {
    return list[this.below(list.length)] ?? list[0];
  }
}
