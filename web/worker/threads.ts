/** A machine as a browser shows it to a worker. */
export interface Machine {
  readonly cores: number;
  /** Whether the page is cross-origin isolated, as threads of WebAssembly need. */
  readonly isIsolated: boolean;
}

/**
 * The threads that compute: at most 4. One core is left to the page, because threads of ONNX Runtime that
 * wait for each other hold their cores, and the page would draw late.
 */
export function threadsOn({ cores, isIsolated }: Machine): number {
  return isIsolated ? Math.max(1, Math.min(4, cores - 1)) : 1;
}

/** Why there is only one thread; undefined where there are more. */
export function threadsReasonOn(machine: Machine): string | undefined {
  if (threadsOn(machine) > 1) return undefined;
  if (!machine.isIsolated)
    return "more threads need the headers Cross-Origin-Opener-Policy and Cross-Origin-Embedder-Policy, which this host does not send";
  return machine.cores > 1 ? "the other core is left to the page" : "this machine has one core";
}
