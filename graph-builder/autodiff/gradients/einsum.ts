import { at } from "../../at.ts";
import type { Builder } from "../../builder.ts";
import type { Value } from "../../ir.ts";
import { type Equation, formatEquation, parseEquation } from "../../operators/einsum.ts";
import { staticDim } from "../../operators/inference.ts";
import { tensorOf } from "../../tensor.ts";
import type { Backward } from "./rule.ts";

/**
 * The gradient of one input of Einsum is an Einsum of dY and the other inputs: the term of the input and the
 * output exchange their places.
 */
export function einsumGradients(
  g: Builder,
  { node, I, dY, attributes }: Backward<"Einsum">,
): (() => Value)[] {
  const inputs = node.inputs.map((_, i) => I(i));
  const equation = parseEquation(
    attributes.equation,
    inputs.map(({ shape }) => shape.length),
  );
  return inputs.map((_, i) => () => gradientOf(g, equation, inputs, i, dY));
}

function gradientOf(g: Builder, equation: Equation, inputs: readonly Value[], i: number, dY: Value): Value {
  const X = at(inputs, i);
  const { wanted, diagonals } = withoutRepeats(at(equation.terms, i));
  const others = inputs.map((value, j) => ({ value, term: at(equation.terms, j) })).filter((_, j) => j !== i);
  const operands = [
    { value: dY, term: equation.output },
    ...others,
    ...diagonals.map(({ axis, term }) => ({ value: identity(g, X, axis), term })),
  ];
  const known = new Set(operands.flatMap(({ term }) => term));
  // a label of this input alone was summed, so its gradient is the same along that axis
  const output = wanted.filter((label) => known.has(label));
  const terms = operands.map(({ term }) => term);
  const product = g.Einsum(...operands.map(({ value }) => value), {
    equation: formatEquation({ terms, output }),
  });
  const summed = wanted.flatMap((label, axis) => (known.has(label) ? [] : [axis]));
  return summed.length > 0 ? g.Expand(g.Unsqueeze(product, g.int64(summed)), g.Shape(X)) : product;
}

interface Diagonal {
  readonly axis: number;
  readonly term: readonly [string, string];
}

/** A term in which a repeated label has another name from its second axis on, and what joins the two. */
function withoutRepeats(term: readonly string[]): {
  readonly wanted: readonly string[];
  readonly diagonals: readonly Diagonal[];
} {
  const isFirst = (label: string, axis: number) => term.indexOf(label) === axis;
  const wanted = term.map((label, axis) => (isFirst(label, axis) ? label : `${label}/${axis}`));
  const diagonals = term.flatMap((label, axis): Diagonal[] =>
    isFirst(label, axis) ? [] : [{ axis, term: [label, at(wanted, axis)] }],
  );
  return { wanted, diagonals };
}

/** The identity matrix of an axis. Throws ShapeError where its size is not known. */
function identity(g: Builder, X: Value, axis: number): Value {
  const size = staticDim(X.shape, axis);
  const numbers = Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
  return g.constant(tensorOf(X.elemType, numbers, [size, size]));
}
