/** Ends a run on Ctrl-C, SIGTERM, SIGHUP or SIGUSR1. */
export interface Interrupt {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** Removes the listeners, which restores the default handling of signals. */
  readonly stop: () => void;
}

/**
 * Ctrl-C, the end of a job, the end of a terminal, and what Slurm's --signal=USR1 sends before a time limit.
 */
const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"] as const;

/**
 * Listens for the signals that end a run. The first one ends it after its step; the second ends the process
 * at once, as the signal's default handling does, because native code cannot be stopped. The last checkpoint
 * is whole either way.
 */
export function listenForInterrupt({
  onFirst,
  onSecond,
}: {
  readonly onFirst: () => void;
  readonly onSecond: () => void;
}): Interrupt {
  const controller = new AbortController();
  const stop = () => {
    for (const name of signals) process.off(name, listener);
  };
  const listener = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      stop();
      onSecond();
      // by default, Node opens its debugger on SIGUSR1
      process.kill(process.pid, name === "SIGUSR1" ? "SIGTERM" : name);
      return;
    }
    controller.abort();
    onFirst();
  };
  for (const name of signals) process.on(name, listener);
  return { signal: controller.signal, stop };
}
