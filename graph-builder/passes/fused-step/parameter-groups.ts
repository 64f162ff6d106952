import { at } from "../../at.ts";
import type { Builder } from "../../builder.ts";
import { UserError } from "../../errors.ts";
import type { Graph, Node, Value } from "../../ir.ts";
import { dataTypeNumbers } from "../../operators/elementwise.ts";
import { elementCount, type HalfType, isHalfType } from "../../types.ts";
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
  /** The type in which the step reads them alone; undefined where it reads them as floats. */
  readonly half: HalfType | undefined;
  readonly weights: Pack;
  /** The weights and their moments, in the order of the optimizer. */
  readonly packs: readonly Pack[];
}

interface Members {
  readonly isWide: boolean;
  readonly half: HalfType | undefined;
  readonly made: readonly Value[];
  readonly members: PackMember[];
}

/**
 * The trained parameters by what the optimizer does to them, by whether the step reads them in `halfType`
 * alone and by the length of their rows.
 */
export function groupParameters(
  step: Graph,
  update: CommonUpdate,
  halfType: HalfType | undefined,
): ParameterGroup[] {
  const { parameters, moments, forms } = update;
  const groups = new Map<string, Members>();
  for (const name of parameters.keys()) {
    const { dims, half } = readParameter(step, name, halfType);
    const isWide = elementCount(dims) % WIDE === 0;
    const form = forms.findIndex((one) => one.parameters.has(name));
    const key = `${isWide ? "wide" : "narrow"}${half ? "_half" : ""}${form > 0 ? `_${form + 1}` : ""}`;
    const group = groups.get(key) ?? { isWide, half, made: at(forms, form).made, members: [] };
    group.members.push({ name, dims });
    groups.set(key, group);
  }
  return [...groups].map(([key, { isWide, half, made, members }]): ParameterGroup => {
    const width = isWide ? WIDE : divisorOf(members);
    const weights = { name: `weights.${key}`, width, members };
    const kept = Array.from({ length: moments }, (_, i) => ({
      name: `${momentRole(i, moments)}.${key}`,
      width,
      members: members.map(({ name, dims }) => ({ name: parameters.get(name)?.moments[i] ?? "", dims })),
    }));
    return { made, half, weights, packs: [weights, ...kept] };
  });
}

function readParameter(
  step: Graph,
  name: string,
  halfType: HalfType | undefined,
): Pick<Members, "half"> & { dims: number[] } {
  const value = step.inputs.find((input) => input.name === name);
  if (!value) {
    throw new UserError(`The training model does not read ${name}, which the optimizer model updates.`, {
      code: "artifacts-mismatch",
      details: { parameter: name },
    });
  }
  const isHalf = value.uses.every(({ node }) => isCastTo(node, halfType));
  return { dims: value.shape.map(Number), half: isHalf ? halfType : undefined };
}

function isCastTo(node: Node, halfType: HalfType | undefined): boolean {
  return node.opType === "Cast" && node.output(0).elemType === halfType;
}

/** The parameters of a group as tensors of their own; those that are read in 16 bits are cast together. */
export function cutWeights(
  g: Builder,
  { weights: { members, width }, half }: ParameterGroup,
  matrix: Value,
): [string, Value][] {
  const rounded = half ? g.Cast(matrix, { to: dataTypeNumbers[half] }) : matrix;
  const rows = members.map(({ dims }) => elementCount(dims) / width);
  const parts = g.Split(rounded, g.int64(rows), { axis: 0 });
  return members.map(({ name, dims }, i): [string, Value] => {
    const piece = g.Reshape(at(parts, i), g.int64(dims));
    return [name, half ? g.Cast(piece, { to: dataTypeNumbers.float }) : piece];
  });
}

/** The gradients of a group as one float matrix; those in 16 bits are joined before they are cast. */
export function gatherGradients(
  g: Builder,
  { weights: { members, width } }: ParameterGroup,
  gradientOf: (parameter: string) => Value,
): Value {
  const gradients = members.map(({ name }) => gradientOf(name));
  const halves = gradients.flatMap(({ producer }) => {
    const before = producer?.opType === "Cast" ? producer.input(0) : undefined;
    return before && isHalfType(before.elemType) ? [before] : [];
  });
  const areHalves = halves.length === gradients.length;
  const rows = (areHalves ? halves : gradients).map((value) => g.Reshape(value, g.int64([-1, width])));
  const joined = g.Concat(...rows, { axis: 0 });
  return areHalves ? g.Cast(joined, { to: dataTypeNumbers.float }) : joined;
}
