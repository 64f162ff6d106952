/** An exponential moving average: the weight of a value falls to 1/e after `span` more values. */
export class RecentMean {
  readonly #keep: number;
  #sum = 0;
  #weight = 0;

  constructor(span: number) {
    this.#keep = Math.exp(-1 / span);
  }

  /** Adds a value. Returns the average. */
  add(value: number): number {
    this.#sum = this.#keep * this.#sum + value;
    this.#weight = this.#keep * this.#weight + 1;
    return this.#sum / this.#weight;
  }
}
