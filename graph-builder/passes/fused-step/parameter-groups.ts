import { at } from "../../at.ts";
import type { Builder } from "../../builder.ts";
import { UserError } from "../../errors.ts";
import type { Graph, Node, Value } from "../../ir.ts";
import { dataTypeNumbers } from "../../operators/elementwise.ts";
import { elementCount } from "../../types.ts";
import { divisorOf, type Pack, type PackMember } from "./packs.ts";
import { type CommonUpdate, momentRole } from "./update.ts";

/**
 * Members whose size is a multiple of this have rows of this length, the others of their greatest common
 * divisor.
 */
const WIDE = 256;

/** Parameters that are kept, cast and updated together. */
export interface ParameterGroup {
  /** What the optimizer does to one of them: its next weight and moments. */
  readonly made: readonly Value[];
  /** Whether the step reads them in float16 alone. */
  readonly isHalf: boolean;
  readonly weights: Pack;
  /** The weights and their moments, in the order of the optimizer. */
  readonly packs: readonly Pack[];
}

interface Members {
  readonly isWide: boolean;
  readonly isHalf: boolean;
  readonly made: readonly Value[];
  readonly members: PackMember[];
}

/**
 * The trained parameters by what the optimizer does to them, by the type in which they are read and by the
 * length of their rows.
 */
export function groupParameters(step: Graph, update: CommonUpdate, mixed: boolean): ParameterGroup[] {
  const { parameters, moments, forms } = update;
  const groups = new Map<string, Members>();
  for (const name of parameters.keys()) {
    const { dims, isHalf } = readParameter(step, name, mixed);
    const isWide = elementCount(dims) % WIDE === 0;
    const form = forms.findIndex((one) => one.parameters.has(name));
    const key = `${isWide ? "wide" : "narrow"}${isHalf ? "_half" : ""}${form > 0 ? `_${form + 1}` : ""}`;
    const group = groups.get(key) ?? { isWide, isHalf, made: at(forms, form).made, members: [] };
    group.members.push({ name, dims });
    groups.set(key, group);
  }
  return [...groups].map(([key, { isWide, isHalf, made, members }]): ParameterGroup => {
    const width = isWide ? WIDE : divisorOf(members);
    const weights = { name: `weights.${key}`, width, members };
    const kept = Array.from({ length: moments }, (_, i) => ({
      name: `${momentRole(i, moments)}.${key}`,
      width,
      members: members.map(({ name, dims }) => ({ name: parameters.get(name)?.moments[i] ?? "", dims })),
    }));
    return { made, isHalf, weights, packs: [weights, ...kept] };
  });
}

function readParameter(step: Graph, name: string, mixed: boolean): { dims: number[]; isHalf: boolean } {
  const value = step.inputs.find((input) => input.name === name);
  if (!value) {
    throw new UserError(`The training model does not read ${name}, which the optimizer model updates.`, {
      code: "artifacts-mismatch",
      details: { parameter: name },
    });
  }
  const isHalf = mixed && value.uses.every(({ node }) => isCastToHalf(node));
  return { dims: value.shape.map(Number), isHalf };
}

function isCastToHalf(node: Node): boolean {
  return node.opType === "Cast" && node.output(0).elemType === "float16";
}

/** The parameters of a group as tensors of their own; those that are read in float16 are cast together. */
export function cutWeights(
  g: Builder,
  { weights: { members, width }, isHalf }: ParameterGroup,
  matrix: Value,
): [string, Value][] {
  const rounded = isHalf ? g.Cast(matrix, { to: dataTypeNumbers.float16 }) : matrix;
  const rows = members.map(({ dims }) => elementCount(dims) / width);
  const parts = g.Split(rounded, g.int64(rows), { axis: 0 });
  return members.map(({ name, dims }, i): [string, Value] => {
    const piece = g.Reshape(at(parts, i), g.int64(dims));
    return [name, isHalf ? g.Cast(piece, { to: dataTypeNumbers.float }) : piece];
  });
}

/** The gradients of a group as one float matrix; those in float16 are joined before they are cast. */
export function gatherGradients(
  g: Builder,
  { weights: { members, width } }: ParameterGroup,
  gradientOf: (parameter: string) => Value,
): Value {
  const gradients = members.map(({ name }) => gradientOf(name));
  const halves = gradients.flatMap(({ producer }) => {
    const before = producer?.opType === "Cast" ? producer.input(0) : undefined;
    return before?.elemType === "float16" ? [before] : [];
  });
  const areHalves = halves.length === gradients.length;
  const rows = (areHalves ? halves : gradients).map((value) => g.Reshape(value, g.int64([-1, width])));
  const joined = g.Concat(...rows, { axis: 0 });
  return areHalves ? g.Cast(joined, { to: dataTypeNumbers.float }) : joined;
}
