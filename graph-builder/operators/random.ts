import { type TensorType, tensorType } from "../types.ts";
import { dataTypeOf } from "./elementwise.ts";
import { attribute, type Operand, operator, optional, required } from "./schema.ts";

const normal = { mean: attribute("float", 0), scale: attribute("float", 1), seed: optional("float") };
const uniform = { low: attribute("float", 0), high: attribute("float", 1), seed: optional("float") };

/** The type of numbers that are drawn for each element of a value, in its type where no other is given. */
function drawnLike(
  [X]: readonly [Operand],
  { dtype }: { readonly dtype: number | undefined },
): readonly [TensorType] {
  return [dtype === undefined ? X.tensor : tensorType(dataTypeOf(dtype), X.shape)];
}

const like = { inputs: ["input"], outputs: ["output"], isRandom: true, infer: drawnLike } as const;

/** Operators that draw random numbers. */
export const random = {
  RandomNormalLike: operator({ ...like, attributes: { ...normal, dtype: optional("int") } }),
  RandomUniformLike: operator({ ...like, attributes: { ...uniform, dtype: optional("int") } }),
  Bernoulli: operator({
    ...like,
    since: 15,
    attributes: { seed: optional("float"), dtype: optional("int") },
  }),
  RandomNormal: operator({
    inputs: [],
    outputs: ["output"],
    isRandom: true,
    attributes: { ...normal, dtype: attribute("int", 1), shape: required("ints") },
    infer: (_, { dtype, shape }) => [tensorType(dataTypeOf(dtype), shape)],
  }),
  RandomUniform: operator({
    inputs: [],
    outputs: ["output"],
    isRandom: true,
    attributes: { ...uniform, dtype: attribute("int", 1), shape: required("ints") },
    infer: (_, { dtype, shape }) => [tensorType(dataTypeOf(dtype), shape)],
  }),
};
