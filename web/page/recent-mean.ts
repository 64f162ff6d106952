/** The mean of the latest values, of which one that is `span` values old counts a third. */
export class RecentMean {
  readonly #keep: number;
  #sum = 0;
  #weight = 0;

  constructor(span: number) {
    this.#keep = Math.exp(-1 / span);
  }

  /** Takes a value and returns the mean with it. */
  add(value: number): number {
    this.#sum = this.#keep * this.#sum + value;
    this.#weight = this.#keep * this.#weight + 1;
    return this.#sum / this.#weight;
  }
}
