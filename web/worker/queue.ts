/** Runs tasks one after the other, because ONNX Runtime's WebAssembly runs one call at a time. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs a task after the tasks before it. Returns its result. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
