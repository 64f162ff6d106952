import { type Dim, productOf, quotientOf, sumOf } from "../dims.ts";
import type { Shape } from "../types.ts";
import { tensorType } from "../types.ts";
import { contentsOf, joined, repeated } from "./contents.ts";
import { dataTypeOf } from "./elementwise.ts";
import {
  broadcastShapes,
  commonElemType,
  dimAt,
  knownNumbers,
  lengthOf,
  mayEqual,
  normalAxis,
  reduceShape,
  refuse,
  reshapeTo,
  runTimeDim,
  runTimeDims,
  sameAs,
  shapeInput,
  sizesOf,
} from "./inference.ts";
import { attribute, type Operand, operator, optional, required } from "./schema.ts";
import { slicedShape } from "./slicing.ts";

const padModes: ReadonlySet<string> = new Set(["constant", "reflect", "edge", "wrap"]);

/** The shape of an Expand: that of both, broadcast, where a size of the target may be known only in a run. */
function expandedShape(input: Shape, target: Shape): Shape {
  const rank = Math.max(input.length, target.length);
  return Array.from({ length: rank }, (_, i) => {
    const [own = 1, wanted = 1] = [input[i - rank + input.length], target[i - rank + target.length]];
    if (wanted === runTimeDim) return typeof own === "number" && own !== 1 ? own : runTimeDim;
    const [dim = 1] = broadcastShapes([own], [wanted]);
    // where both are symbols, the input's is 1 or the same
    return typeof dim === "number" || wanted === 1 ? dim : wanted;
  });
}

/** The dimensions of images [N, C, H, W]. */
function imageDims({ shape }: Operand): [batch: Dim, channels: Dim, height: Dim, width: Dim] {
  if (shape.length !== 4) refuse("needs images of the shape [N, C, H, W]");
  return [dimAt(shape, 0), dimAt(shape, 1), dimAt(shape, 2), dimAt(shape, 3)];
}

/** How many blocks of a size a dimension has; of a symbol that does not say so, only a run tells it. */
function blocksIn(dim: Dim, size: number, what: string): Dim {
  const known = quotientOf(dim, size);
  if (known === undefined && typeof dim === "number") refuse(`${what} not in blocks of ${size}`);
  return known ?? runTimeDim;
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
      // a computed shape carries symbols, a constant 0 and -1
      return [tensorType(data.elemType, reshapeTo(data.shape, sizesOf(shape), allowzero === 1))];
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
      const fits = inputs.every(
        ({ shape }) =>
          shape.length === first.length &&
          shape.every((dim, i) => i === at || mayEqual(dim, dimAt(first, i))),
      );
      if (!fits) {
        refuse(
          `shapes ${inputs.map((v) => `[${v.shape.join(", ")}]`).join(" and ")} do not join on axis ${axis}`,
        );
      }
      const shape = first.map((dim, i) => {
        const dims = inputs.map((input) => dimAt(input.shape, i));
        if (i === at) return dims.reduce(sumOf, 0);
        // one size can have several names in a file, and a number is the most exact of them
        return dims.find((each) => typeof each === "number") ?? dim;
      });
      return [tensorType(elemType, shape)];
    },
    contents: (inputs, { axis }) => [joined(inputs, axis)],
  }),
  Split: operator({
    inputs: ["input", "split"],
    outputs: ["outputs..."],
    attributes: { axis: attribute("int", 0) },
    infer: ([input, split], { axis }) => {
      const sizes = sizesOf(split);
      const at = normalAxis(axis, input.shape.length);
      const whole = dimAt(input.shape, at);
      const total = sizes.reduce(sumOf, 0);
      if (!mayEqual(total, whole)) {
        refuse(`split [${sizes.join(", ")}] does not add up to the dimension ${whole}`);
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
      const [from, to] = [sizesOf(starts), sizesOf(ends)];
      const along = axes ? knownNumbers(axes) : from.map((_, i) => i);
      if (!along) return [tensorType(data.elemType, runTimeDims(data.shape.length))];
      const by = steps ? sizesOf(steps) : from.map(() => 1);
      const places = along.map((axis) => normalAxis(axis, data.shape.length));
      const shape = slicedShape(data.shape, { starts: from, ends: to, axes: places, steps: by });
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
    since: ({ mode }) => (mode === "wrap" ? 19 : 11),
    inputs: ["data", "pads", "constant_value?"],
    outputs: ["output"],
    attributes: { mode: attribute("string", "constant") },
    infer: ([data, pads], { mode }) => {
      const amounts = sizesOf(pads);
      const rank = data.shape.length;
      if (!padModes.has(mode)) refuse(`mode ${mode} is not known`);
      if (amounts.length !== 2 * rank) refuse(`pads has ${amounts.length} numbers, not ${2 * rank}`);
      const shape = data.shape.map((dim, i) => {
        const [before, after] = [dimAt(amounts, i), dimAt(amounts, i + rank)];
        return before === runTimeDim || after === runTimeDim ? runTimeDim : sumOf(sumOf(dim, before), after);
      });
      return [tensorType(data.elemType, shape)];
    },
  }),
  Squeeze: operator({
    inputs: ["data", "axes"],
    outputs: ["squeezed"],
    infer: ([data, axes]) => {
      const along = knownNumbers(axes);
      if (!along) return [tensorType(data.elemType, runTimeDims(data.shape.length - lengthOf(axes)))];
      for (const axis of along) {
        const dim = dimAt(data.shape, normalAxis(axis, data.shape.length));
        if (typeof dim === "number" && dim !== 1)
          refuse(`axis ${axis} of [${data.shape.join(", ")}] is not 1`);
      }
      return [tensorType(data.elemType, reduceShape(data.shape, along, 0))];
    },
    contents: ([data]) => contentsOf(data),
  }),
  Unsqueeze: operator({
    inputs: ["data", "axes"],
    outputs: ["expanded"],
    infer: ([data, axes]) => {
      const along = knownNumbers(axes);
      if (!along) return [tensorType(data.elemType, runTimeDims(data.shape.length + lengthOf(axes)))];
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
    infer: ([input, shape]) => [tensorType(input.elemType, expandedShape(input.shape, sizesOf(shape)))],
    contents: ([input, shape]) => [
      input.contents?.length === 1 ? repeated(input.contents[0], shapeInput(shape)) : undefined,
    ],
  }),
  Tile: operator({
    inputs: ["input", "repeats"],
    outputs: ["output"],
    infer: ([input, repeats]) => {
      const times = sizesOf(repeats);
      if (times.length !== input.shape.length)
        refuse(`needs ${input.shape.length} repeats, not ${times.length}`);
      return [
        tensorType(
          input.elemType,
          input.shape.map((dim, i) => {
            const count = dimAt(times, i);
            return count === runTimeDim ? runTimeDim : productOf([dim, count]);
          }),
        ),
      ];
    },
  }),
  ConstantOfShape: operator({
    inputs: ["input"],
    outputs: ["output"],
    attributes: { value: required("tensor") },
    infer: ([input], { value }) => [tensorType(value.elemType, sizesOf(input))],
    contents: ([input], { value }) => [repeated(value.numbers()[0], shapeInput(input))],
  }),
  Range: operator({
    inputs: ["start", "limit", "delta"],
    outputs: ["output"],
    infer: ([start, limit, delta]) => {
      const elemType = commonElemType(start, limit, delta);
      const [[first], [end], [step]] = [sizesOf(start), sizesOf(limit), sizesOf(delta)];
      const isCount = elemType.startsWith("int") && first === 0 && step === 1;
      if (isCount && end !== undefined && typeof end !== "number") return [tensorType(elemType, [end])];
      const [from, to, by] = [start, limit, delta].map((value) => knownNumbers(value)?.[0]);
      if (from === undefined || to === undefined || by === undefined)
        return [tensorType(elemType, [runTimeDim])];
      return [tensorType(elemType, [Math.max(0, Math.ceil((to - from) / by))])];
    },
  }),
  Trilu: operator({
    since: 14,
    inputs: ["input", "k?"],
    outputs: ["output"],
    attributes: { upper: attribute("int", 1) },
    infer: ([input]) => {
      if (input.shape.length < 2) refuse("needs matrices");
      return sameAs(input);
    },
  }),
  EyeLike: operator({
    inputs: ["input"],
    outputs: ["output"],
    attributes: { dtype: optional("int"), k: attribute("int", 0) },
    infer: ([input], { dtype }) => {
      if (input.shape.length !== 2) refuse("needs a matrix");
      return [tensorType(dtype === undefined ? input.elemType : dataTypeOf(dtype), input.shape)];
    },
  }),
  DepthToSpace: operator({
    inputs: ["input"],
    outputs: ["output"],
    attributes: { blocksize: required("int"), mode: attribute("string", "DCR") },
    infer: ([input], { blocksize: size, mode }) => {
      if (mode !== "DCR" && mode !== "CRD") refuse(`mode ${mode} is not DCR or CRD`);
      const [batch, channels, height, width] = imageDims(input);
      const fewer = blocksIn(channels, size * size, `${channels} channels are`);
      return [
        tensorType(input.elemType, [batch, fewer, productOf([height, size]), productOf([width, size])]),
      ];
    },
  }),
  SpaceToDepth: operator({
    inputs: ["input"],
    outputs: ["output"],
    attributes: { blocksize: required("int") },
    infer: ([input], { blocksize: size }) => {
      const [batch, channels, ...dims] = imageDims(input);
      const blocks = dims.map((dim) => blocksIn(dim, size, `an image of ${dims.join(" x ")} is`));
      return [tensorType(input.elemType, [batch, productOf([channels, size * size]), ...blocks])];
    },
  }),
  ReverseSequence: operator({
    inputs: ["input", "sequence_lens"],
    outputs: ["Y"],
    attributes: { batch_axis: attribute("int", 1), time_axis: attribute("int", 0) },
    infer: ([input], { batch_axis, time_axis }) => {
      if (normalAxis(batch_axis, input.shape.length) + normalAxis(time_axis, input.shape.length) !== 1) {
        refuse("batch_axis and time_axis must be 0 and 1");
      }
      return sameAs(input);
    },
  }),
};
