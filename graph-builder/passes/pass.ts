import type { Graph } from "../ir.ts";

/** A named step from a graph to a graph. `run` leaves the graph that it is given as it was; where nothing changes it may return it. */
export interface Pass {
  readonly name: string;
  readonly run: (graph: Graph) => Graph;
}

/** Is told of every pass before it runs; what it returns is told of the graph that the pass made. */
export type PassObserver = (pass: Pass, graph: Graph) => (result: Graph) => void;

const observers = new Set<PassObserver>();

/** Calls `observer` for every pass that `runPasses` runs from now on; the function that comes back ends that. */
export function observePasses(observer: PassObserver): () => void {
  observers.add(observer);
  return () => observers.delete(observer);
}

/** The graph after all passes, in order. */
export function runPasses(graph: Graph, passes: readonly Pass[]): Graph {
  return passes.reduce(runPass, graph);
}

function runPass(graph: Graph, pass: Pass): Graph {
  const finished = [...observers].map((observe) => observe(pass, graph));
  const result = pass.run(graph);
  for (const finish of finished) finish(result);
  return result;
}
