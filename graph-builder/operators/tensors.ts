import { at as elementAt } from "../at.ts";
import { type Dim, productOf, sameDim, sumOf } from "../dims.ts";
import { tensorType } from "../types.ts";
import { complete, contentsOf, joined, repeated } from "./contents.ts";
import {
  broadcastShapes,
  commonElemType,
  constantNumbers,
  dimAt,
  normalAxis,
  reduceShape,
  refuse,
  reshapeTo,
  sameAs,
  shapeInput,
  staticDim,
} from "./inference.ts";
import { attribute, operator, optional, required } from "./schema.ts";

/**
 * Where Slice starts and ends on each axis it names, negative positions counted from the end and all clamped
 * as ONNX says.
 */
export interface SliceRange {
  readonly axis: number;
  readonly start: number;
  readonly step: number;
  readonly count: number;
}

/** Slice's ranges over a dimension of known size. */
export function sliceRange(axis: number, size: number, start: number, end: number, step: number): SliceRange {
  const clamp = (position: number, low: number, high: number) =>
    Math.min(Math.max(position < 0 ? position + size : position, low), high);
  const [from, to] =
    step > 0
      ? [clamp(start, 0, size), clamp(end, 0, size)]
      : [clamp(start, 0, size - 1), clamp(end, -1, size - 1)];
  return { axis, start: from, step, count: Math.max(0, Math.ceil((to - from) / step)) };
}

export const tensors = {
  Shape: operator({
    inputs: ["data"],
    outputs: ["shape"],
    attributes: { start: attribute("int", 0), end: optional("int") },
    infer: ([data], { start, end }) => [tensorType("int64", [data.shape.slice(start, end).length])],
    contents: ([data], { start, end }) => [data.shape.slice(start, end)],
  }),
  Size: operator({
    inputs: ["data"],
    outputs: ["size"],
    infer: () => [tensorType("int64", [])],
    contents: ([data]) => [[productOf(data.shape)]],
  }),
  Reshape: operator({
    inputs: ["data", "shape"],
    outputs: ["reshaped"],
    attributes: { allowzero: attribute("int", 0) },
    infer: ([data, shape], { allowzero }) => {
      if (allowzero) refuse("allowzero is not supported");
      // a computed shape carries symbols, a constant 0 and -1
      return [tensorType(data.elemType, reshapeTo(data.shape, shapeInput(shape)))];
    },
    contents: ([data]) => contentsOf(data),
  }),
  Flatten: operator({
    inputs: ["input"],
    outputs: ["output"],
    attributes: { axis: attribute("int", 1) },
    infer: ([input], { axis }) => {
      const at = axis === input.shape.length ? axis : normalAxis(axis, input.shape.length);
      return [
        tensorType(input.elemType, [productOf(input.shape.slice(0, at)), productOf(input.shape.slice(at))]),
      ];
    },
  }),
  Transpose: operator({
    inputs: ["data"],
    outputs: ["transposed"],
    attributes: { perm: optional("ints") },
    infer: ([data], { perm = data.shape.map((_, i) => data.shape.length - 1 - i) }) => {
      if ([...perm].sort((a, b) => a - b).join() !== data.shape.map((_, i) => i).join()) {
        refuse(`perm [${perm.join(", ")}] is not a permutation of ${data.shape.length} axes`);
      }
      return [
        tensorType(
          data.elemType,
          perm.map((axis) => dimAt(data.shape, axis)),
        ),
      ];
    },
  }),
  Concat: operator({
    inputs: ["inputs..."],
    outputs: ["concat_result"],
    attributes: { axis: required("int") },
    infer: (inputs, { axis }) => {
      const elemType = commonElemType(...inputs);
      const first = inputs[0]?.shape ?? refuse("needs at least one input");
      const at = normalAxis(axis, first.length);
      for (const { shape } of inputs) {
        if (
          shape.length !== first.length ||
          shape.some((dim, i) => i !== at && !sameDim(dim, dimAt(first, i)))
        ) {
          refuse(
            `shapes ${inputs.map((v) => `[${v.shape.join(", ")}]`).join(" and ")} do not join on axis ${axis}`,
          );
        }
      }
      const total = inputs.reduce((sum, { shape }) => sum + staticDim(shape, at), 0);
      return [
        tensorType(
          elemType,
          first.map((dim, i) => (i === at ? total : dim)),
        ),
      ];
    },
    contents: (inputs, { axis }) => [joined(inputs, axis)],
  }),
  Split: operator({
    inputs: ["input", "split"],
    outputs: ["outputs..."],
    attributes: { axis: attribute("int", 0) },
    infer: ([input, split], { axis }) => {
      const sizes = constantNumbers(split, "split");
      const at = normalAxis(axis, input.shape.length);
      if (sizes.reduce((sum, size) => sum + size, 0) !== dimAt(input.shape, at)) {
        refuse(`split [${sizes.join(", ")}] does not add up to the dimension ${dimAt(input.shape, at)}`);
      }
      return sizes.map((size) =>
        tensorType(
          input.elemType,
          input.shape.map((dim, i) => (i === at ? size : dim)),
        ),
      );
    },
  }),
  Slice: operator({
    inputs: ["data", "starts", "ends", "axes?", "steps?"],
    outputs: ["output"],
    infer: ([data, starts, ends, axes, steps]) => {
      const from = constantNumbers(starts, "starts");
      const to = constantNumbers(ends, "ends");
      const along = axes ? constantNumbers(axes, "axes") : from.map((_, i) => i);
      const by = steps ? constantNumbers(steps, "steps") : from.map(() => 1);
      if ([from, to, by].some(({ length }) => length !== along.length)) {
        refuse(`starts, ends, axes and steps must be of one length`);
      }
      const shape: Dim[] = [...data.shape];
      for (const [i, axis] of along.entries()) {
        const at = normalAxis(axis, shape.length);
        shape[at] = sliceRange(
          at,
          staticDim(data.shape, at),
          elementAt(from, i),
          elementAt(to, i),
          elementAt(by, i),
        ).count;
      }
      return [tensorType(data.elemType, shape)];
    },
    contents: ([data, starts, ends, , steps]) => {
      const [start, end] = [starts.contents?.[0], ends.contents?.[0]];
      const step = steps ? steps.contents?.[0] : 1;
      const isPlain =
        data.shape.length === 1 && typeof start === "number" && typeof end === "number" && step === 1;
      return [isPlain ? data.contents?.slice(start, end) : undefined];
    },
  }),
  Pad: operator({
    inputs: ["data", "pads", "constant_value?"],
    outputs: ["output"],
    attributes: { mode: attribute("string", "constant") },
    infer: ([data, pads]) => {
      const amounts = shapeInput(pads);
      const rank = data.shape.length;
      if (amounts.length !== 2 * rank) refuse(`pads has ${amounts.length} numbers, not ${2 * rank}`);
      const shape = data.shape.map((dim, i) =>
        sumOf(sumOf(dim, dimAt(amounts, i)), dimAt(amounts, i + rank)),
      );
      return [tensorType(data.elemType, shape)];
    },
  }),
  Squeeze: operator({
    inputs: ["data", "axes"],
    outputs: ["squeezed"],
    infer: ([data, axes]) => {
      const along = constantNumbers(axes, "axes");
      for (const axis of along) {
        const dim = dimAt(data.shape, normalAxis(axis, data.shape.length));
        if (dim !== 1) refuse(`axis ${axis} of [${data.shape.join(", ")}] is not 1`);
      }
      return [tensorType(data.elemType, reduceShape(data.shape, along, 0))];
    },
    contents: ([data]) => contentsOf(data),
  }),
  Unsqueeze: operator({
    inputs: ["data", "axes"],
    outputs: ["expanded"],
    infer: ([data, axes]) => {
      const along = constantNumbers(axes, "axes");
      const rank = data.shape.length + along.length;
      const inserted = new Set(along.map((axis) => normalAxis(axis, rank)));
      let next = 0;
      const shape = Array.from({ length: rank }, (_, i) => (inserted.has(i) ? 1 : dimAt(data.shape, next++)));
      return [tensorType(data.elemType, shape)];
    },
    contents: ([data]) => contentsOf(data),
  }),
  Expand: operator({
    inputs: ["input", "shape"],
    outputs: ["output"],
    infer: ([input, shape]) => [tensorType(input.elemType, broadcastShapes(input.shape, shapeInput(shape)))],
    contents: ([input, shape]) => [
      input.contents?.length === 1 ? repeated(input.contents[0], shapeInput(shape)) : undefined,
    ],
  }),
  Tile: operator({
    inputs: ["input", "repeats"],
    outputs: ["output"],
    infer: ([input, repeats]) => {
      const times = shapeInput(repeats);
      if (times.length !== input.shape.length)
        refuse(`needs ${input.shape.length} repeats, not ${times.length}`);
      return [
        tensorType(
          input.elemType,
          input.shape.map((dim, i) => productOf([dim, dimAt(times, i)])),
        ),
      ];
    },
  }),
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
  ScatterElements: operator({
    inputs: ["data", "indices", "updates"],
    outputs: ["output"],
    attributes: { axis: attribute("int", 0), reduction: attribute("string", "none") },
    infer: ([data]) => sameAs(data),
  }),
  ConstantOfShape: operator({
    inputs: ["input"],
    outputs: ["output"],
    attributes: { value: required("tensor") },
    infer: ([input], { value }) => [tensorType(value.elemType, shapeInput(input))],
    contents: ([input], { value }) => [repeated(value.numbers()[0], shapeInput(input))],
  }),
  Range: operator({
    inputs: ["start", "limit", "delta"],
    outputs: ["output"],
    infer: ([start, limit, delta]) => {
      const [[first], [end], [step]] = [shapeInput(start), shapeInput(limit), shapeInput(delta)];
      if (first === 0 && step === 1 && end !== undefined) return [tensorType(limit.elemType, [end])];
      const [from = 0, to = 0, by = 1] = [start, limit, delta].map((v) => constantNumbers(v, "the range")[0]);
      return [tensorType(limit.elemType, [Math.max(0, Math.ceil((to - from) / by))])];
    },
  }),
  OneHot: operator({
    inputs: ["indices", "depth", "values"],
    outputs: ["output"],
    attributes: { axis: attribute("int", -1) },
    infer: ([indices, depth, values], { axis }) => {
      const at = normalAxis(axis, indices.shape.length + 1);
      const [count = 0] = constantNumbers(depth, "depth");
      return [
        tensorType(values.elemType, [...indices.shape.slice(0, at), count, ...indices.shape.slice(at)]),
      ];
    },
  }),
};
