import { at } from "../../at.ts";
import type { Builder } from "../../builder.ts";
import { floatLike } from "../../composites.ts";
import type { Value } from "../../ir.ts";
import { dataTypeNumbers } from "../../operators/elementwise.ts";
import { knownNumbers, normalAxis, refuse, staticDim, unsupported } from "../../operators/inference.ts";
import { floats, Tensor } from "../../tensor.ts";
import type { DataType } from "../../types.ts";
import { attributeAsInput, type ForeignNode, type ImportForm, numberList } from "./form.ts";

/**
 * A floating-point constant has the name that the file gives it: it may be a weight, and then stays a value
 * of its own beside equal ones.
 */
const constant: ImportForm["read"] = (g, { attributes, outputs: [name] }) => {
  const { value, sparse_value = value, value_int, value_ints, value_float, value_floats } = attributes;
  if (sparse_value instanceof Tensor) {
    return [g.constant(sparse_value, weightTypes.includes(sparse_value.elemType) ? name : undefined)];
  }
  if (typeof value_int === "number") return [g.int64(value_int)];
  if (typeof value_float === "number") return [g.constant(floats(value_float), name)];
  if (value_ints !== undefined) return [g.int64(numberList("value_ints", value_ints))];
  if (value_floats !== undefined) {
    return [g.constant(floats(numberList("value_floats", value_floats)), name)];
  }
  return unsupported("its value is not a tensor of numbers");
};

const weightTypes: readonly DataType[] = ["float", "float16", "bfloat16"];

/**
 * The axes of a Squeeze without axes: those whose dimension is 1. Where a dimension is a symbol, the file
 * must declare a result that keeps it.
 */
function emptyAxes(g: Builder, data: Value | null, [declared]: ForeignNode["declared"]): Value {
  if (!data) return refuse("input data is missing");
  const { shape } = data;
  const empty = shape.flatMap((dim, axis) => (dim === 1 ? [axis] : []));
  const isKnown = shape.every((dim) => typeof dim === "number");
  const rank = declared?.kind === "tensor" ? declared.shape.length : undefined;
  if (!isKnown && rank !== shape.length - empty.length) {
    unsupported(`axes must be given, because a dimension of [${shape.join(", ")}] may be 1`);
  }
  return g.int64(empty);
}

/**
 * The sizes of the parts of a Split without sizes: equal sizes, and a smaller last part where they do not
 * divide.
 */
function equalParts(data: Value, axis: number, count: number): number[] {
  const whole = staticDim(data.shape, normalAxis(axis, data.shape.length));
  const size = Math.ceil(whole / count);
  return [...Array(count - 1).fill(size), whole - size * (count - 1)];
}

/** The sizes of equal parts of an axis whose size only a run tells. */
function equalPartsInRun(g: Builder, data: Value, axis: number, count: number): Value {
  const along = normalAxis(axis, data.shape.length);
  const whole = g.Shape(data, { start: along, end: along + 1 });
  const size = g.Div(g.Add(whole, g.int64([count - 1])), g.int64([count]));
  const last = g.Sub(whole, g.Mul(size, g.int64([count - 1])));
  return g.Concat(...Array<Value>(count - 1).fill(size), last, { axis: 0 });
}

const split: ImportForm["read"] = (g, { inputs: [data, sizes], attributes, declared }) => {
  const { split: listed, num_outputs: _, ...rest } = attributes;
  if (!data) return refuse("input data is missing");
  const axis = Number(attributes["axis"] ?? 0);
  const isKnown = typeof data.shape[normalAxis(axis, data.shape.length)] === "number";
  const parts = () => {
    if (listed !== undefined) return g.int64(numberList("split", listed));
    if (isKnown) return g.int64(equalParts(data, axis, declared.length));
    return equalPartsInRun(g, data, axis, declared.length);
  };
  return { inputs: [data, sizes ?? parts()], attributes: rest };
};

/** The pads of all axes, from those of some: both numbers only a run tells. */
function padsInRun(g: Builder, pads: Value, axes: Value, rank: number): Value {
  const counted = g.Add(axes, g.Cast(g.int64(rank), { to: dataTypeNumbers[axes.elemType] }));
  const places = g.Cast(g.Mod(counted, g.Cast(g.int64(rank), { to: dataTypeNumbers[axes.elemType] })), {
    to: dataTypeNumbers.int64,
  });
  const whole = g.Concat(places, g.Add(places, g.int64(rank)), { axis: 0 });
  return g.ScatterElements(g.int64(Array(2 * rank).fill(0)), whole, pads, { axis: 0 });
}

/** From opset 18 on, Pad has an input with the axes to pad; ours pads all axes. */
const pad: ImportForm["read"] = (g, { inputs: [data = null, pads, value = null, axes], attributes }) => {
  if (!data || !pads || !axes) return { inputs: [data, pads ?? null, value], attributes };
  const rank = data.shape.length;
  const [given, along] = [knownNumbers(pads), knownNumbers(axes)];
  if (!given || !along) return { inputs: [data, padsInRun(g, pads, axes, rank), value], attributes };
  const whole: number[] = Array(2 * rank).fill(0);
  for (const [i, axis] of along.entries()) {
    const place = normalAxis(axis, rank);
    whole[place] = at(given, i);
    whole[place + rank] = at(given, i + along.length);
  }
  return { inputs: [data, g.int64(whole), value], attributes };
};

/** Before opset 11, the pads and the value are attributes. */
const padBefore11: ImportForm["read"] = (g, { inputs: [data], attributes: { pads, value = 0, ...rest } }) => {
  if (!data) return refuse("input data is missing");
  return {
    inputs: [data, g.int64(numberList("pads", pads)), floatLike(g, data, Number(value))],
    attributes: rest,
  };
};

/** Before opset 10, where a slice starts and ends is in attributes. */
const sliceBefore10: ImportForm["read"] = (
  g,
  { inputs: [data = null], attributes: { starts, ends, axes } },
) => {
  const from = numberList("starts", starts);
  const along = axes === undefined ? from.map((_, axis) => axis) : numberList("axes", axes);
  return { inputs: [data, g.int64(from), g.int64(numberList("ends", ends)), g.int64(along)], attributes: {} };
};

/** Before opset 10, the number of elements is an attribute. */
const topKBefore10: ImportForm["read"] = (g, { inputs: [X = null], attributes: { k, ...rest } }) => ({
  inputs: [X, g.int64([Number(k)])],
  attributes: rest,
});

/** Scatter is the name that ScatterElements had before opset 11. */
const scatter: ImportForm["read"] = (g, { inputs, attributes, name }) =>
  g.nodeFrom("ScatterElements", inputs, attributes, name).outputs;

/** Before opset 13, the axes of Squeeze are an attribute; our operator always has them as an input. */
const squeezeBefore13: ImportForm["read"] = (
  g,
  { inputs: [data = null], attributes: { axes, ...rest }, declared },
) => ({
  inputs: [data, axes === undefined ? emptyAxes(g, data, declared) : g.int64(numberList("axes", axes))],
  attributes: rest,
});

const squeeze: ImportForm["read"] = (g, { inputs: [data = null, axes], attributes, declared }) => ({
  inputs: [data, axes ?? emptyAxes(g, data, declared)],
  attributes,
});

/** `allowzero` says nothing about a shape without 0, and opsets before 14 do not know it. */
const reshape: ImportForm["read"] = (_, { inputs, attributes }) => {
  const { allowzero, ...rest } = attributes;
  const target = inputs[1]?.contents;
  const isNeeded = allowzero === 1 && (!target || target.includes(0));
  return { inputs, attributes: isNeeded ? attributes : rest };
};

/** From opset 28 on, the channels may be outermost: mode CRD. */
const spaceToDepth: ImportForm["read"] = (g, { inputs: [input = null], attributes }) => {
  const { mode = "DCR", ...rest } = attributes;
  if (mode === "DCR") return { inputs: [input], attributes: rest };
  if (mode !== "CRD") return refuse(`mode ${mode} is not known`);
  const depths = g.nodeFrom("SpaceToDepth", [input], rest).output(0);
  const blocks = Number(rest["blocksize"]) ** 2;
  const apart = g.Reshape(
    depths,
    g.Concat(g.int64([0, blocks, -1]), g.Shape(depths, { start: 2 }), { axis: 0 }),
  );
  return [g.Reshape(g.Transpose(apart, { perm: [0, 2, 1, 3, 4] }), g.Shape(depths))];
};

/** Constants, and operators that move elements. */
export const tensors: readonly ImportForm[] = [
  { domain: "", opType: "Constant", read: constant },
  {
    domain: "",
    opType: "ConstantOfShape",
    read: (_, { inputs, attributes }) => ({ inputs, attributes: { value: floats([0]), ...attributes } }),
  },
  { domain: "", opType: "Reshape", since: 14, read: reshape },
  attributeAsInput("Unsqueeze", "axes"),
  { domain: "", opType: "Squeeze", until: 13, read: squeezeBefore13 },
  { domain: "", opType: "Squeeze", since: 13, read: squeeze },
  { domain: "", opType: "Split", read: split },
  { domain: "", opType: "Pad", since: 18, read: pad },
  { domain: "", opType: "Pad", until: 11, read: padBefore11 },
  { domain: "", opType: "Slice", until: 10, read: sliceBefore10 },
  { domain: "", opType: "TopK", until: 10, read: topKBefore10 },
  { domain: "", opType: "Scatter", read: scatter },
  { domain: "", opType: "SpaceToDepth", since: 28, read: spaceToDepth },
];
