/** Why a run ends before its last epoch. */
export type StopReason = "signal" | "time" | "patience";

/**
 * Ends a run after the step under way. The first reason counts, and a signal before the others. Where ranks
 * train together, all must end after the same step: a signal and the time are only `wanted` then, until the
 * ranks agree. An accuracy that gets no better is the same on all ranks, and needs no agreement.
 */
export class Stopping {
  readonly #controller = new AbortController();
  readonly #needsAgreement: boolean;
  #reason: StopReason | undefined;
  #wanted: StopReason | undefined;

  constructor({ needsAgreement = false }: { readonly needsAgreement?: boolean } = {}) {
    this.#needsAgreement = needsAgreement;
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Undefined where nothing ends the run. */
  get reason(): StopReason | undefined {
    return this.#reason;
  }

  /** Why this rank wants to end the run; undefined where it does not, or the ranks have agreed. */
  get wanted(): StopReason | undefined {
    return this.#reason === undefined ? this.#wanted : undefined;
  }

  because(reason: StopReason): void {
    if (this.#needsAgreement && reason !== "patience") {
      if (this.#wanted !== "signal") this.#wanted = reason;
    } else this.agree(reason);
  }

  /** Ends the run for a reason that holds on all ranks. */
  agree(reason: StopReason): void {
    if (this.#reason === undefined || reason === "signal") this.#reason = reason;
    this.#controller.abort();
  }
}

/**
 * Ctrl-C, the end of a job, the end of a terminal, and what Slurm's --signal=USR1 sends before a time limit.
 */
const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"] as const;

/** What the signals that end a run do. */
export interface SignalHandling {
  /** Stops a run for a signal that comes while `work` runs. A second one ends the process at once. */
  whileTraining<T>(work: () => Promise<T>): Promise<T>;
  /** Restores the default handling of signals. */
  close(): void;
}

/**
 * Listens for the signals that end a run. While it trains, the first one stops it after its step; the second
 * ends the process at once, as a signal does before and after training: native code cannot be stopped, and
 * the last checkpoint is whole either way.
 */
export function handleSignals(
  stopping: Stopping,
  { onStop, onEnd }: { readonly onStop: () => void; readonly onEnd: () => void },
): SignalHandling {
  let isTraining = false;
  let isStopped = false;
  const close = () => {
    for (const name of signals) process.off(name, listener);
  };
  const listener = (name: NodeJS.Signals) => {
    if (isTraining && !isStopped) {
      isStopped = true;
      stopping.because("signal");
      onStop();
      return;
    }
    close();
    onEnd();
    // SIGUSR1 has no default that ends a process of Node
    process.kill(process.pid, name === "SIGUSR1" ? "SIGTERM" : name);
  };
  for (const name of signals) process.on(name, listener);
  return {
    async whileTraining(work) {
      isTraining = true;
      try {
        return await work();
      } finally {
        isTraining = false;
      }
    },
    close,
  };
}
