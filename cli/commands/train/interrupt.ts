/** Ends a run on Ctrl-C or SIGTERM. */
export interface Interrupt {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
  /** Removes the listeners, which restores the default handling of signals. */
  readonly stop: () => void;
}

/**
 * Listens for Ctrl-C and SIGTERM. The first one ends the run after its step; the second ends the process at
 * once, as the signal's default handling does, because native code cannot be stopped. The last checkpoint is
 * whole either way.
 */
export function listenForInterrupt({
  onFirst,
  onSecond,
}: {
  readonly onFirst: () => void;
  readonly onSecond: () => void;
}): Interrupt {
  const controller = new AbortController();
  const signals = ["SIGINT", "SIGTERM"] as const;
  const stop = () => {
    for (const name of signals) process.off(name, listener);
  };
  const listener = (name: NodeJS.Signals) => {
    if (controller.signal.aborted) {
      stop();
      onSecond();
      process.kill(process.pid, name);
      return;
    }
    controller.abort();
    onFirst();
  };
  for (const name of signals) process.on(name, listener);
  return { signal: controller.signal, stop };
}
