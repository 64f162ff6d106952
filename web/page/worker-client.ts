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

const trainings: ReadonlySet<CallName> = new Set(["train", "resume", "trainLastLayer", "trainWhole"]);

/** A call that waits for its answer. */
interface Waiting {
  readonly answer: (message: ResultMessage | ErrorMessage) => void;
  readonly reject: (error: Error) => void;
  readonly isTraining: boolean;
  /** When it was made, in the time of performance.now(). */
  readonly start: number;
}

/** The worker of the page: its functions as promises, and its events. */
export class WorkerClient {
  #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Set<(event: WorkerEvent) => void>();
  readonly #onFailure: (error: Error) => void;
  #failure: Error | undefined;
  #next = 0;

  /** Starts the worker. `onFailure` is told where its script cannot be loaded or ends with an error. */
  constructor(onFailure: (error: Error) => void) {
    this.#onFailure = onFailure;
    this.#worker = this.#start();
  }

  #start(): Worker {
    const worker = new Worker(new URL("../worker/worker.ts", import.meta.url), { type: "module" });
    worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => this.#receive(data));
    worker.addEventListener("error", (event) => this.#fail(failureOf(event)));
    const { module, wasm, bytes } = assets.onnxruntime;
    const absolute = (path: string) => new URL(path, document.baseURI).href;
    const start: Start = { type: "start", module: absolute(module), wasm: absolute(wasm), bytes };
    worker.postMessage(start);
    return worker;
  }

  /**
   * The milliseconds for which the worker has computed on the oldest call, trainings apart, which say how far
   * they are; 0 where there is none.
   */
  get busyMs(): number {
    const starts = [...this.#waiting.values()].filter(({ isTraining }) => !isTraining);
    return starts.length === 0 ? 0 : performance.now() - Math.min(...starts.map(({ start }) => start));
  }

  /** Ends the worker, in whatever it computes, rejects its calls with an error, and starts a new one. */
  restart(error: Error): void {
    this.#worker.terminate();
    this.#rejectAll(error);
    this.#failure = undefined;
    this.#worker = this.#start();
  }

  /** Calls a function of the worker. Rejects with its UserError, or with Error where the worker failed. */
  call<K extends CallName>(call: K, ...args: CallArguments[K]): Promise<CallResults[K]> {
    if (this.#failure) return Promise.reject(this.#failure);
    const id = this.#next++;
    const message: CallMessage<K> = { type: "call", id, call, args };
    this.#post(message);
    return new Promise((resolve, reject) => {
      const answer = (message: ResultMessage | ErrorMessage) => {
        if (message.type === "error") reject(errorOf(message));
        else if (isResultOf(call, message)) resolve(message.result);
      };
      const isTraining = trainings.has(call);
      this.#waiting.set(id, { answer, reject, isTraining, start: performance.now() });
    });
  }

  listen(listener: (event: WorkerEvent) => void): void {
    this.#listeners.add(listener);
  }

  #receive(message: FromWorker): void {
    if (message.type === "event") {
      for (const listener of this.#listeners) listener(message.event);
      return;
    }
    this.#waiting.get(message.id)?.answer(message);
    this.#waiting.delete(message.id);
  }

  #fail(error: Error): void {
    this.#failure = error;
    this.#rejectAll(error);
    this.#onFailure(error);
  }

  #rejectAll(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }

  #post<K extends CallName>(message: CallMessage<K>): void {
    this.#worker.postMessage(message);
  }
}

function isResultOf<K extends CallName>(
  call: K,
  message: { readonly call: CallName },
): message is ResultMessage<K> {
  return message.call === call;
}

function errorOf({ message, mistake }: ErrorMessage): Error {
  return mistake ? new UserError(message, mistake) : new Error(message);
}

function failureOf({ message }: ErrorEvent): Error {
  // the event of a script that could not be loaded has no message
  if (message) return new Error(message);
  return new UserError(
    "The page's worker could not be loaded: reload the page, or build it again with npm run build:web.",
    { code: "package-missing" },
  );
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
