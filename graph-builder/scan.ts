import { type Builder, createBuilder } from "./builder.ts";
import { Graph, Subgraph, type Value } from "./ir.ts";
import { tensorType } from "./types.ts";

type Values = readonly Value[];

/** A loop over the leading axis of some values. */
export interface Loop<S extends Values, E extends Values, C extends Values, M extends Values> {
  /** The states before the first step. */
  readonly states: S;
  /** Values with a leading axis of steps. */
  readonly sequences: E;
  /** Values that every step reads as they are. */
  readonly captured: C;
  /** For every sequence, or for all, 1 where it is read from its end; 0 is the default. */
  readonly inputDirections?: number | readonly number[];
  /** The same for the sequences that the loop makes. */
  readonly outputDirections?: number | readonly number[];
  /**
   * Appends the nodes of a step, which reads one element of every sequence and makes one of every new one.
   */
  readonly step: (
    b: Builder,
    inputs: { readonly states: S; readonly elements: E; readonly captured: C },
  ) => { readonly states: Values; readonly made: M };
}

/** Appends one ai.onnx Scan. Returns the states after the last step, and the sequences that it makes. */
export function appendScan<
  const S extends Values,
  const E extends Values,
  const C extends Values,
  const M extends Values,
>(g: Builder, loop: Loop<S, E, C, M>): { readonly states: S; readonly made: M } {
  const { states, sequences, captured, inputDirections, outputDirections } = loop;
  const b = createBuilder(new Graph("step"));
  const inputs = {
    states: states.map(({ type }, i) => b.inputOf(`state_${i}`, type)) as Values as S,
    elements: sequences.map(({ elemType, shape }, i) =>
      b.inputOf(`element_${i}`, tensorType(elemType, shape.slice(1))),
    ) as Values as E,
    captured: captured.map(({ type }, i) => b.inputOf(`captured_${i}`, type)) as Values as C,
  };
  const results = b.during("backward", () => loop.step(b, inputs));
  for (const [i, state] of results.states.entries()) b.output(state, `next_state_${i}`);
  for (const [i, element] of results.made.entries()) b.output(element, `made_${i}`);
  const outputs = g.Scan(...states, ...sequences, ...captured, {
    body: new Subgraph(b.graph, captured.length),
    num_scan_inputs: sequences.length,
    scan_input_directions: directionsFor(sequences, inputDirections),
    scan_output_directions: directionsFor(results.made, outputDirections),
  });
  return {
    states: outputs.slice(0, states.length) as Values as S,
    made: outputs.slice(states.length) as Values as M,
  };
}

/** The directions as an attribute, which is left out where all are 0. */
function directionsFor(
  sequences: Values,
  directions: number | readonly number[] = 0,
): readonly number[] | undefined {
  const all = typeof directions === "number" ? sequences.map(() => directions) : directions;
  return all.some((direction) => direction === 1) ? all : undefined;
}
