import { appendGraph } from "../../../append-graph.ts";
import { at } from "../../../at.ts";
import type { Builder } from "../../../builder.ts";
import { isOp, type Node, type Value } from "../../../ir.ts";
import { givenNames } from "../../../names.ts";
import { normalAxis } from "../../../operators/inference.ts";
import { draws } from "../../../passes/drawn-numbers.ts";
import { appendScan } from "../../../scan.ts";
import { tensorOf } from "../../../tensor.ts";
import type { Backward, GradientRule } from "../rule.ts";

/** The parts of a Scan, with the axis of steps first in every sequence. */
interface ScanParts {
  readonly states: readonly Value[];
  readonly sequences: readonly Value[];
  readonly captured: readonly Value[];
  readonly inputDirections: readonly number[];
  readonly outputDirections: readonly number[];
}

/**
 * The gradient of a loop: a first Scan computes the states before every step anew, and a second one runs
 * against the direction of the first. Each of its steps computes the step again, goes back through it, and
 * adds to the gradients of the values that all steps read.
 */
export const scanGradient: GradientRule<"Scan"> = (g, back) => {
  const { attributes, dO } = back;
  const { graph } = attributes.body;
  refuseDraws(back);
  const parts = partsOf(g, back);
  const { states, sequences, captured, inputDirections, outputDirections } = parts;
  const before = statesBefore(g, back, parts);
  const results = graph.outputs.slice(states.length);
  const made = floating(results);
  const [carried, read, shared] = [floating(states), floating(sequences), floating(captured)];
  const zerosLike = (value: Value) =>
    g.ConstantOfShape(g.Shape(value), { value: tensorOf(value.elemType, [0]) });
  const gradients = made.map((i) => front(g, dO(states.length + i), axisOf(back, "scan_output_axes", i)));
  const reversed = (directions: readonly number[], i: number) => 1 - at(directions, i);
  const loop = appendScan(g, {
    states: [...carried.map(dO), ...shared.map((i) => zerosLike(at(captured, i)))],
    sequences: [...before, ...sequences, ...gradients],
    captured,
    inputDirections: [
      ...before.map(() => 1),
      ...sequences.map((_, i) => reversed(inputDirections, i)),
      ...made.map((i) => reversed(outputDirections, i)),
    ],
    outputDirections: read.map((i) => reversed(inputDirections, i)),
    step: (b, given) => {
      const own = given.elements.slice(0, states.length + sequences.length);
      const inputs = [...own, ...given.captured];
      const outputs = appendStep(b, back, inputs);
      const arriving = new Map<Value, Value>();
      const arrive = (value: Value, gradient: Value) => {
        const known = arriving.get(value);
        arriving.set(value, known ? b.Add(known, gradient) : gradient);
      };
      for (const [place, i] of carried.entries()) arrive(at(outputs, i), at(given.states, place));
      for (const [place, i] of made.entries())
        arrive(at(outputs, states.length + i), at(given.elements, own.length + place));
      const first = states.length + sequences.length;
      const targets = [
        ...carried.map((i) => at(inputs, i)),
        ...read.map((i) => at(inputs, states.length + i)),
        ...shared.map((i) => at(inputs, first + i)),
      ];
      const found = back.propagate(b, arriving, targets);
      const sums = found.slice(carried.length + read.length);
      return {
        states: [
          ...found.slice(0, carried.length),
          ...sums.map((each, i) => b.Add(at(given.states, carried.length + i), each)),
        ],
        made: found.slice(carried.length, carried.length + read.length),
      };
    },
  });
  const placed = (values: readonly Value[], places: readonly number[], of: (i: number) => Value) =>
    values.map((_, i) => (places.includes(i) ? of(places.indexOf(i)) : null));
  return [
    ...placed(states, carried, (i) => at(loop.states, i)),
    ...placed(sequences, read, (i) =>
      fromFront(g, at(loop.made, i), axisOf(back, "scan_input_axes", at(read, i))),
    ),
    ...placed(captured, shared, (i) => at(loop.states, carried.length + i)),
  ];
};

/** Throws Error for a loop whose steps draw random numbers: a step that is computed again draws others. */
function refuseDraws({ node, attributes }: Backward<"Scan">): void {
  const nodes = attributes.body.graph.withInnerGraphs().flatMap((graph) => graph.nodes);
  if (!nodes.some((each) => draws(each) || isDroppingOut(each))) return;
  throw new Error(
    `Scan at ${node.name} has no gradient: its body draws random numbers, and would draw others for the gradient`,
  );
}

function isDroppingOut(node: Node): boolean {
  const mode = isOp(node, "Dropout") ? node.inputs[2] : null;
  return mode ? mode.constant?.numbers()[0] !== 0 : false;
}

function partsOf(g: Builder, back: Backward<"Scan">): ScanParts {
  const { node, attributes, I } = back;
  const listed = node.listedInputs.length;
  const count = listed - attributes.num_scan_inputs;
  const all = node.inputs.map((_, i) => I(i));
  return {
    states: all.slice(0, count),
    sequences: all
      .slice(count, listed)
      .map((value, i) => front(g, value, axisOf(back, "scan_input_axes", i))),
    captured: all.slice(listed),
    inputDirections: attributes.scan_input_directions ?? zeros(attributes.num_scan_inputs),
    outputDirections: attributes.scan_output_directions ?? zeros(node.outputs.length - count),
  };
}

function zeros(count: number): readonly number[] {
  return Array.from({ length: count }, () => 0);
}

/** The states before every step, as sequences in the order of the steps. */
function statesBefore(g: Builder, back: Backward<"Scan">, parts: ScanParts): readonly Value[] {
  const { states, sequences, captured, inputDirections } = parts;
  const loop = appendScan(g, {
    states,
    sequences,
    captured,
    inputDirections,
    step: (b, given) => ({
      states: appendStep(b, back, [...given.states, ...given.elements, ...given.captured]).slice(
        0,
        states.length,
      ),
      made: given.states,
    }),
  });
  return loop.made;
}

/** Appends a step of the loop over its inputs and returns the outputs. */
function appendStep(b: Builder, { attributes }: Backward<"Scan">, inputs: readonly Value[]): Value[] {
  const { graph } = attributes.body;
  const replacements = new Map(graph.inputs.map((input, i) => [input, at(inputs, i)]));
  const copyOf = appendGraph(b, graph, { wanted: graph.outputs, replacements, reserved: givenNames(graph) });
  return graph.outputs.map(copyOf);
}

/** The places of the values that have gradients. */
function floating(values: readonly Value[]): number[] {
  return values.flatMap(({ elemType }, i) => (/float|double/.test(elemType) ? [i] : []));
}

/** The axis of steps of a sequence: the first one where the node does not say it. */
function axisOf(
  { attributes }: Backward<"Scan">,
  kind: "scan_input_axes" | "scan_output_axes",
  index: number,
): number {
  const axes = attributes[kind];
  return axes === undefined ? 0 : at(axes, index);
}

/** A value with one of its axes moved to the front. */
function front(g: Builder, value: Value, axis: number): Value {
  const rank = value.shape.length;
  const moved = normalAxis(axis, rank);
  const others = value.shape.map((_, i) => i).filter((i) => i !== moved);
  return moved === 0 ? value : g.Transpose(value, { perm: [moved, ...others] });
}

/** A value with its first axis moved to another place. */
function fromFront(g: Builder, value: Value, axis: number): Value {
  const rank = value.shape.length;
  const place = normalAxis(axis, rank);
  const perm = value.shape.map((_, i) => (i < place ? i + 1 : i === place ? 0 : i));
  return place === 0 ? value : g.Transpose(value, { perm });
}
