import { UserError } from "../../graph-builder/errors.ts";
import type {
  CallArguments,
  CallMessage,
  CallName,
  CallResults,
  ErrorMessage,
  FromWorker,
  ResultMessage,
  Start,
  WorkerEvent,
} from "../protocol.ts";
import { assets } from "./assets.ts";

interface Waiting<Result> {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

/** For each function the calls that have no answer yet, by their ids. */
type WaitingCalls = { readonly [K in CallName]: Map<number, Waiting<CallResults[K]>> };

/** The worker of the page: its functions as promises, and its events. */
export class WorkerClient {
  readonly #worker = new Worker(new URL("../worker/worker.ts", import.meta.url), { type: "module" });
  readonly #waiting: WaitingCalls = {
    open: new Map(),
    chooseDevice: new Map(),
    drawExamples: new Map(),
    classify: new Map(),
    shake: new Map(),
    train: new Map(),
    resume: new Map(),
    stop: new Map(),
    trained: new Map(),
  };
  readonly #listeners = new Set<(event: WorkerEvent) => void>();
  #next = 0;

  constructor() {
    this.#worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => this.#receive(data));
    this.#worker.addEventListener("error", (event) => {
      this.#rejectAll(new Error(event.message || "the worker could not be loaded"));
    });
    const { module, wasm, bytes } = assets.onnxruntime;
    const absolute = (path: string) => new URL(path, document.baseURI).href;
    this.#post({ type: "start", module: absolute(module), wasm: absolute(wasm), bytes });
  }

  /** Calls a function of the worker. Rejects with its UserError, or with Error where the worker failed. */
  call<K extends CallName>(call: K, ...args: CallArguments[K]): Promise<CallResults[K]> {
    const id = this.#next++;
    const waiting: WaitingCalls[K] = this.#waiting[call];
    const result = new Promise<CallResults[K]>((resolve, reject) => waiting.set(id, { resolve, reject }));
    const message: CallMessage<K> = { type: "call", id, call, args };
    this.#post(message);
    return result;
  }

  listen(listener: (event: WorkerEvent) => void): void {
    this.#listeners.add(listener);
  }

  #receive(message: FromWorker): void {
    if (message.type === "event") for (const listener of this.#listeners) listener(message.event);
    else if (message.type === "result") this.#resolve(message);
    else this.#reject(message);
  }

  #resolve<K extends CallName>({ id, call, result }: ResultMessage<K>): void {
    const waiting: WaitingCalls[K] = this.#waiting[call];
    waiting.get(id)?.resolve(result);
    waiting.delete(id);
  }

  #reject({ id, call, message, mistake }: ErrorMessage): void {
    this.#waiting[call].get(id)?.reject(mistake ? new UserError(message, mistake) : new Error(message));
    this.#waiting[call].delete(id);
  }

  #rejectAll(error: Error): void {
    for (const calls of Object.values(this.#waiting)) {
      for (const { reject } of calls.values()) reject(error);
      calls.clear();
    }
  }

  #post<K extends CallName>(message: Start | CallMessage<K>): void {
    this.#worker.postMessage(message);
  }
}

/**
 * Returns a function that runs one value at a time. Of the values that arrive during a run it keeps the
 * latest.
 */
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
