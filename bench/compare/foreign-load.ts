import { cpus } from "node:os";
import { setTimeout as wait } from "node:timers/promises";

const SAMPLE_MS = 250;
/** Below this share of all cores a machine is quiet. */
const QUIET = 0.1;

/**
 * Waits until the machine is quiet, but no longer than `patience` seconds. Call it while every peer is
 * stopped. Returns the share of all cores that other programs used in the last quarter of a second.
 */
export async function waitForQuiet(patience: number): Promise<number> {
  const deadline = performance.now() + 1000 * patience;
  for (;;) {
    const before = times();
    await wait(SAMPLE_MS);
    const after = times();
    const share = (after.busy - before.busy) / Math.max(1, after.all - before.all);
    if (share < QUIET || performance.now() > deadline) return share;
  }
}

function times(): { busy: number; all: number } {
  const cores = cpus().map(({ times: { user, nice, sys, irq, idle } }) => ({
    busy: user + nice + sys + irq,
    idle,
  }));
  const busy = cores.reduce((sum, core) => sum + core.busy, 0);
  return { busy, all: cores.reduce((sum, { idle }) => sum + idle, busy) };
}
