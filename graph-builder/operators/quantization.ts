import { sameDim } from "../dims.ts";
import { sameShape, tensorType } from "../types.ts";
import { dimAt, normalAxis, refuse, unsupported } from "./inference.ts";
import { attribute, type Operand, operator } from "./schema.ts";

/**
 * Refuses a scale that is neither one number nor one for each entry of the axis, and a zero point of another
 * shape.
 */
function expectScale(x: Operand, scale: Operand, zeroPoint: Operand | null | undefined, axis: number): void {
  if (scale.shape.length > 1)
    unsupported(`the scale must be a number or a vector, not [${scale.shape.join(", ")}]`);
  const [count = 1] = scale.shape;
  if (count !== 1 && !sameDim(count, dimAt(x.shape, normalAxis(axis, x.shape.length)))) {
    refuse(`${count} scales do not fit axis ${axis} of [${x.shape.join(", ")}]`);
  }
  if (zeroPoint && !sameShape(zeroPoint.shape, scale.shape)) {
    unsupported(`the zero point is [${zeroPoint.shape.join(", ")}], the scale [${scale.shape.join(", ")}]`);
  }
}

/** Before opset 13 there is one scale for all elements. */
function since(_: unknown, [, scale]: readonly (Operand | null)[]): number {
  const [count = 1] = scale?.shape ?? [];
  return count === 1 ? 10 : 13;
}

export const quantization = {
  // y = saturate(round(x / y_scale) + y_zero_point)
  QuantizeLinear: operator({
    since,
    inputs: ["x", "y_scale", "y_zero_point?"],
    outputs: ["y"],
    attributes: { axis: attribute("int", 1) },
    infer: ([x, scale, zeroPoint], { axis }) => {
      expectScale(x, scale, zeroPoint, axis);
      return [tensorType(zeroPoint?.elemType ?? "uint8", x.shape)];
    },
  }),
  // y = (x - x_zero_point) * x_scale
  DequantizeLinear: operator({
    since,
    inputs: ["x", "x_scale", "x_zero_point?"],
    outputs: ["y"],
    attributes: { axis: attribute("int", 1) },
    infer: ([x, scale, zeroPoint], { axis }) => {
      expectScale(x, scale, zeroPoint, axis);
      if (zeroPoint && zeroPoint.elemType !== x.elemType) {
        refuse(`x is ${x.elemType} and its zero point ${zeroPoint.elemType}`);
      }
      return [tensorType(scale.elemType, x.shape)];
    },
  }),
};
