import type { Graph } from "../ir.ts";

/**
 * A named step from a graph to a graph. `run` does not change its argument; it may return it where there is
 * nothing to do.
 */
export interface Pass {
  readonly name: string;
  readonly run: (graph: Graph) => Graph;
}

/**
 * Called before a pass runs, with the pass and its graph; the returned function is called with the result.
 */
export type PassObserver = (pass: Pass, graph: Graph) => (result: Graph) => void;

const observers = new Set<PassObserver>();

/**
 * Calls `observer` for every pass that `runPasses` runs from now on. The returned function removes the
 * observer.
 */
export function observePasses(observer: PassObserver): () => void {
  observers.add(observer);
  return () => observers.delete(observer);
}

/** Runs the passes in order, each on the result of the one before, and returns the last result. */
export function runPasses(graph: Graph, passes: readonly Pass[]): Graph {
  return passes.reduce(runPass, graph);
}

function runPass(graph: Graph, pass: Pass): Graph {
  const finished = [...observers].map((observe) => observe(pass, graph));
  const result = pass.run(graph);
  for (const finish of finished) finish(result);
  return result;
}
