import { observePasses } from "../../graph-builder/index.ts";

/**
 * Writes a line for every pass that runs from now on: name, nodes before and after, milliseconds. Returns
 * a function that stops it.
 */
export function tracePasses(write: (line: string) => void): () => void {
  return observePasses(({ name }, graph) => {
    const before = graph.nodes.length;
    const start = performance.now();
    return ({ nodes }) => {
      const milliseconds = (performance.now() - start).toFixed(1);
      write(`pass ${name}: ${before} -> ${nodes.length} nodes, ${milliseconds} ms`);
    };
  });
}
