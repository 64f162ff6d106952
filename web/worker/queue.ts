/** Runs tasks one after the other: ONNX Runtime's WebAssembly does not take two at a time. */
export class Queue {
  #last: Promise<unknown> = Promise.resolve();

  /** The task's result, once those before it are done. */
  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    this.#last = result.catch(() => undefined);
    return result;
  }
}
