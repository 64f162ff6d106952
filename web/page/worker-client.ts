import { UserError } from "../../graph-builder/errors.ts";
import type { CallName, Calls, FromWorker, ToWorker, WorkerEvent } from "../protocol.ts";
import { assets } from "./assets.ts";

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

/** The one worker of the page: its calls as promises, and what it says on its own. */
export class WorkerClient {
  readonly #worker = new Worker(new URL("../worker/worker.ts", import.meta.url), { type: "module" });
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Set<(event: WorkerEvent) => void>();
  #next = 0;

  constructor() {
    this.#worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => this.#receive(data));
    this.#worker.addEventListener("error", (event) => {
      // a worker that has died answers nothing any more
      for (const { reject } of this.#waiting.values())
        reject(new Error(event.message || "the worker could not be loaded"));
      this.#waiting.clear();
    });
    const { module, wasm, bytes } = assets.onnxruntime;
    const absolute = (path: string) => new URL(path, document.baseURI).href;
    this.#post({ type: "start", module: absolute(module), wasm: absolute(wasm), bytes });
  }

  /** Rejects with a UserError where the user can do something about it. */
  call<K extends CallName>(call: K, ...args: Parameters<Calls[K]>): ReturnType<Calls[K]> {
    const id = this.#next++;
    const result = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#post({ type: "call", id, call, args } as ToWorker);
    return result as ReturnType<Calls[K]>;
  }

  listen(listener: (event: WorkerEvent) => void): void {
    this.#listeners.add(listener);
  }

  #receive(message: FromWorker): void {
    if (message.type === "event") {
      for (const listener of this.#listeners) listener(message.event);
      return;
    }
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.type === "result") waiting?.resolve(message.result as never);
    else waiting?.reject(message.isUser ? new UserError(message.message) : new Error(message.message));
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }
}

/** Runs the latest of many calls: while one is under way only the last that came after it is kept. */
export function latest<T>(run: (value: T) => Promise<void>): (value: T) => void {
  let isBusy = false;
  let pending: { value: T } | undefined;
  return (value) => {
    pending = { value };
    if (isBusy) return;
    isBusy = true;
    void (async () => {
      while (pending) {
        const next = pending;
        pending = undefined;
        await run(next.value);
      }
      isBusy = false;
    })();
  };
}
