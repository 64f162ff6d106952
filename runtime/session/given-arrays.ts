import type * as Ort from "onnxruntime-common";
import { type Dim, DimSymbol } from "../../graph-builder/dims.ts";
import { withEmptySequence } from "../../graph-builder/onnx/empty-sequence.ts";
import { allocate, isNumeric } from "../../graph-builder/tensor.ts";
import type { ValueType } from "../../graph-builder/types.ts";
import { ortType } from "../device/tensors.ts";
import type { GraphInput } from "./feeds.ts";

/** The output that onnxruntime-node does not convert. */
const LAST = "given_arrays.end";

/** What onnxruntime-node 1.30 says of it. */
const NOT_CONVERTED = "Non tensor type is temporarily not supported";

/** An output of a model. */
export interface GraphOutput {
  readonly name: string;
  readonly type: ValueType;
}

/**
 * A model whose session can be run by `runInto`. onnxruntime-node lets a session write into the arrays that
 * it is given for the outputs, and then copies each of them into a new array nevertheless: that takes 0.25 ms
 * for a megabyte, a fifth of a training step of a network with 11 million parameters. It converts the outputs
 * in their order and stops at one that is no tensor, so the model gets one, the first.
 */
export function forGivenArrays(model: Uint8Array): Uint8Array {
  return withEmptySequence(model, LAST);
}

/**
 * Runs a session of `forGivenArrays`, which writes its outputs into the tensors of `outputs`. Returns whether
 * it has done so: a later version of onnxruntime-node may refuse something else, and what the arrays then
 * hold is not known.
 */
export async function runInto(
  session: Ort.InferenceSession,
  feeds: Readonly<Record<string, Ort.Tensor>>,
  outputs: Readonly<Record<string, Ort.Tensor>>,
): Promise<boolean> {
  try {
    await session.run(feeds, { ...outputs, [LAST]: null });
    return true;
  } catch (error) {
    return error instanceof Error && error.message.includes(NOT_CONVERTED);
  }
}

/**
 * A tensor of zeros for each output whose type and size are known before the run, from the sizes of the
 * feeds; undefined where one is not.
 */
export function zerosFor(
  outputs: readonly GraphOutput[],
  inputs: readonly GraphInput[],
  feeds: Readonly<Record<string, Ort.Tensor>>,
  ort: Pick<typeof Ort, "Tensor">,
): Record<string, Ort.Tensor> | undefined {
  const sizes = symbolSizes(inputs, feeds);
  const tensors: Record<string, Ort.Tensor> = {};
  for (const { name, type } of outputs) {
    if (type.kind !== "tensor" || !isNumeric(type.elemType)) return undefined;
    const dims = type.shape.map((dim) => sizeOf(dim, sizes));
    if (!dims.every((dim) => dim !== undefined)) return undefined;
    const data = allocate(
      type.elemType,
      dims.reduce((count, dim) => count * dim, 1),
    );
    tensors[name] = new ort.Tensor(ortType(type.elemType), data, dims);
  }
  return tensors;
}

function symbolSizes(
  inputs: readonly GraphInput[],
  feeds: Readonly<Record<string, Ort.Tensor>>,
): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const { name, type } of inputs) {
    if (type?.kind !== "tensor") continue;
    for (const [axis, dim] of type.shape.entries()) {
      const size = feeds[name]?.dims[axis];
      if (dim instanceof DimSymbol && size !== undefined) sizes.set(dim.name, size);
    }
  }
  return sizes;
}

function sizeOf(dim: Dim, sizes: ReadonlyMap<string, number>): number | undefined {
  if (typeof dim === "number") return dim;
  return dim instanceof DimSymbol ? sizes.get(dim.name) : undefined;
}
