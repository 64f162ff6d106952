/** Wall time and examples since an epoch began, or since a run went on within it. */
export class Clock {
  readonly #start = performance.now();
  #examples = 0;

  /** Counts a step. */
  count(examples: number): void {
    this.#examples += examples;
  }

  get seconds(): number {
    return (performance.now() - this.#start) / 1000;
  }

  /** Examples per second. */
  get rate(): number {
    return this.#examples / this.seconds;
  }
}
