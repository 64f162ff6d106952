import { at as elementAt } from "../at.ts";
import { type Dim, productOf, sameDim } from "../dims.ts";
import { type Shape, tensorType } from "../types.ts";
import { complete } from "./contents.ts";
import {
  commonElemType,
  dimAt,
  knownNumbers,
  mayEqual,
  normalAxis,
  refuse,
  runTimeDim,
  sameAs,
  sizesOf,
  staticDim,
} from "./inference.ts";
import { attribute, type Operand, operator, optional } from "./schema.ts";

/** How a scattered element joins what is there, with the first opset that has it. */
const scatterReductions: Readonly<Record<string, number>> = { none: 11, add: 16, mul: 16, max: 18, min: 18 };

function scatterOpset({ reduction }: { readonly reduction: string }): number {
  return scatterReductions[reduction] ?? 18;
}

function expectReduction(reduction: string): void {
  if (!Object.hasOwn(scatterReductions, reduction)) refuse(`reduction ${reduction} is not known`);
}

/** Refuses indices that have no element for each of `updates`. */
function expectShape(what: string, { shape }: Operand, expected: Shape): void {
  const fits = shape.length === expected.length && shape.every((dim, i) => mayEqual(dim, dimAt(expected, i)));
  if (!fits) refuse(`${what} must have the shape [${expected.join(", ")}], not [${shape.join(", ")}]`);
}

/** The shape of what GatherND takes and ScatterND puts: one slice for each vector of indices. */
function slicesShape(data: Shape, indices: Shape, batchDims: number): Shape {
  if (indices.length === 0) refuse("indices must have an axis");
  const depth = staticDim(indices, indices.length - 1);
  if (batchDims + depth > data.length)
    refuse(`indices of ${depth} numbers are too long for rank ${data.length}`);
  return [...indices.slice(0, -1), ...data.slice(batchDims + depth)];
}

/** Operators that take and put elements at places that are inputs. */
export const indexing = {
  Gather: operator({
    inputs: ["data", "indices"],
    outputs: ["output"],
    attributes: { axis: attribute("int", 0) },
    infer: ([data, indices], { axis }) => {
      const at = normalAxis(axis, data.shape.length);
      return [
        tensorType(data.elemType, [
          ...data.shape.slice(0, at),
          ...indices.shape,
          ...data.shape.slice(at + 1),
        ]),
      ];
    },
    contents: ([data, indices]) => {
      const [elements, places] = [data.contents, indices.contents];
      if (!elements || !places || data.shape.length !== 1) return [undefined];
      return [complete(places.map((place) => (typeof place === "number" ? elements.at(place) : undefined)))];
    },
  }),
  GatherElements: operator({
    inputs: ["data", "indices"],
    outputs: ["output"],
    attributes: { axis: attribute("int", 0) },
    infer: ([data, indices], { axis }) => {
      normalAxis(axis, data.shape.length);
      if (indices.shape.length !== data.shape.length) refuse("data and indices must have one rank");
      return [tensorType(data.elemType, indices.shape)];
    },
  }),
  GatherND: operator({
    since: ({ batch_dims }) => (batch_dims === 0 ? 11 : 12),
    inputs: ["data", "indices"],
    outputs: ["output"],
    attributes: { batch_dims: attribute("int", 0) },
    infer: ([data, indices], { batch_dims }) => [
      tensorType(data.elemType, slicesShape(data.shape, indices.shape, batch_dims)),
    ],
  }),
  ScatterElements: operator({
    since: scatterOpset,
    inputs: ["data", "indices", "updates"],
    outputs: ["output"],
    attributes: { axis: attribute("int", 0), reduction: attribute("string", "none") },
    infer: ([data, indices, updates], { axis, reduction }) => {
      normalAxis(axis, data.shape.length);
      expectReduction(reduction);
      commonElemType(data, updates);
      expectShape("updates", updates, indices.shape);
      return sameAs(data);
    },
  }),
  ScatterND: operator({
    since: scatterOpset,
    inputs: ["data", "indices", "updates"],
    outputs: ["output"],
    attributes: { reduction: attribute("string", "none") },
    infer: ([data, indices, updates], { reduction }) => {
      expectReduction(reduction);
      commonElemType(data, updates);
      expectShape("updates", updates, slicesShape(data.shape, indices.shape, 0));
      return sameAs(data);
    },
  }),
  OneHot: operator({
    inputs: ["indices", "depth", "values"],
    outputs: ["output"],
    attributes: { axis: attribute("int", -1) },
    infer: ([indices, depth, values], { axis }) => {
      const at = normalAxis(axis, indices.shape.length + 1);
      const [count = runTimeDim] = knownNumbers(depth) ?? [];
      return [
        tensorType(values.elemType, [...indices.shape.slice(0, at), count, ...indices.shape.slice(at)]),
      ];
    },
  }),
  NonZero: operator({
    inputs: ["X"],
    outputs: ["Y"],
    infer: ([X]) => [tensorType("int64", [X.shape.length, runTimeDim])],
  }),
  Unique: operator({
    inputs: ["X"],
    outputs: ["Y", "indices?", "inverse_indices?", "counts?"],
    attributes: { axis: optional("int"), sorted: attribute("int", 1) },
    infer: ([X], { axis }) => {
      const along = axis === undefined ? undefined : normalAxis(axis, X.shape.length);
      const shape = X.shape.map((dim, i) => (i === along ? runTimeDim : dim));
      const each = tensorType("int64", [runTimeDim]);
      const inverse = along === undefined ? productOf(X.shape) : dimAt(X.shape, along);
      const kept = tensorType(X.elemType, along === undefined ? [runTimeDim] : shape);
      return [kept, each, tensorType("int64", [inverse]), each];
    },
  }),
  NonMaxSuppression: operator({
    inputs: ["boxes", "scores", "max_output_boxes_per_class?", "iou_threshold?", "score_threshold?"],
    outputs: ["selected_indices"],
    attributes: { center_point_box: attribute("int", 0) },
    infer: ([boxes, scores]) => {
      if (boxes.shape.length !== 3 || scores.shape.length !== 3)
        refuse("boxes and scores must be [batches, ...] of three axes");
      return [tensorType("int64", [runTimeDim, 3])];
    },
  }),
  Compress: operator({
    inputs: ["input", "condition"],
    outputs: ["output"],
    attributes: { axis: optional("int") },
    infer: ([input], { axis }) => {
      const along = axis === undefined ? undefined : normalAxis(axis, input.shape.length);
      const shape = input.shape.map((dim, i) => (i === along ? runTimeDim : dim));
      return [tensorType(input.elemType, along === undefined ? [runTimeDim] : shape)];
    },
  }),
  TopK: operator({
    inputs: ["X", "K"],
    outputs: ["Values", "Indices"],
    attributes: {
      axis: attribute("int", -1),
      largest: attribute("int", 1),
      sorted: attribute("int", 1),
    },
    infer: ([X, K], { axis }) => {
      const along = normalAxis(axis, X.shape.length);
      const count = elementAt(sizesOf(K), 0);
      const shape = X.shape.map((dim, i) => (i === along ? taken(dim, count) : dim));
      return [tensorType(X.elemType, shape), tensorType("int64", shape)];
    },
  }),
};

/** Refuses to take more elements than there are. */
function taken(dim: Dim, count: Dim): Dim {
  const isTooMany = typeof dim === "number" && typeof count === "number" && count > dim;
  if (isTooMany && !sameDim(dim, count)) refuse(`K is ${count}, and the axis has ${dim} elements`);
  return count;
}
