import { Worker } from "node:worker_threads";
import type { ErrorData } from "../../../graph-builder/index.ts";
import { mistakeIn } from "../thread-reply.ts";
import type { ReplicaCalls, ReplicaReply, ReplicaRequest } from "./replica-worker.ts";

/** A replica failed or died, which ends the session. `details` hold its name and the reason. */
export class ReplicaError extends Error implements ErrorData {
  override readonly name = "ReplicaError";
  readonly code = "replica-failed";
  readonly details: Readonly<Record<string, unknown>>;

  constructor(message: string, { details = {}, ...options }: ErrorOptions & Pick<ErrorData, "details"> = {}) {
    super(message, options);
    this.details = details;
  }
}

/** A worker, and the request that it works on. */
export class ReplicaThread {
  readonly #name: string;
  readonly #onDeath: (error: ReplicaError) => void;
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  #waiting: { resolve(result: unknown): void; reject(error: unknown): void } | undefined;
  #end: { readonly error: unknown } | undefined;

  /** `onDeath` is called with the error that ended the worker. */
  constructor(script: URL, name: string, onDeath: (error: ReplicaError) => void) {
    this.#name = name;
    this.#onDeath = onDeath;
    this.#worker = new Worker(script, { name });
    this.#worker.on("message", (reply: ReplicaReply) => this.#settle(reply));
    const die = (error: unknown) => onDeath(this.#failure("died", error));
    this.#worker.on("messageerror", die);
    this.#worker.on("error", die);
    this.#exited = new Promise((resolve) => this.#worker.on("exit", () => resolve()));
    this.#worker.on("exit", (code) =>
      onDeath(
        new ReplicaError(`${name} ended with exit code ${code}; if memory is short, take fewer replicas.`, {
          details: { replica: name, how: "ended", exitCode: code },
        }),
      ),
    );
  }

  /**
   * Sends a request and waits for the answer. Throws the worker's error, or the error of `stop` where the
   * worker was stopped.
   */
  call<M extends keyof ReplicaCalls>(
    method: M,
    argument: Parameters<ReplicaCalls[M]>[0],
  ): Promise<Awaited<ReturnType<ReplicaCalls[M]>>> {
    return new Promise((resolve, reject) => {
      if (this.#end) return reject(this.#end.error);
      this.#waiting = { resolve: resolve as (result: unknown) => void, reject };
      this.#send({ method, argument } as ReplicaRequest);
    });
  }

  /**
   * Ends the worker after its current computation, because terminating a worker inside native code aborts the
   * process. The request under way and every later one reject at once with the error of the first stop.
   */
  async stop(error: unknown): Promise<void> {
    this.#end ??= { error };
    this.#waiting?.reject(this.#end.error);
    this.#waiting = undefined;
    this.#send({ method: "close", argument: undefined });
    await this.#exited;
  }

  #send(request: ReplicaRequest): void {
    this.#worker.postMessage(request);
  }

  #settle(reply: ReplicaReply): void {
    if ("error" in reply && !reply.mistake) {
      this.#onDeath(this.#failure("failed", reply.error));
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if ("result" in reply) waiting?.resolve(reply.result);
    else if (reply.mistake) waiting?.reject(mistakeIn(reply.mistake, reply.error));
  }

  #failure(how: string, cause: unknown): ReplicaError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new ReplicaError(`${this.#name} ${how}: ${reason}`, {
      cause,
      details: { replica: this.#name, how, reason },
    });
  }
}
