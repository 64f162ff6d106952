import { tensorType } from "../types.ts";
import { dimAt, expectSame, sameAs } from "./inference.ts";
import { convAttributes, neural } from "./neural.ts";
import { type Operand, operator, optional } from "./schema.ts";

/** [N, H, W, C] seen as [N, C, H, W], which is what the operators of ai.onnx infer from. */
function channelsFirst(X: Operand): Operand {
  const shape = [dimAt(X.shape, 0), dimAt(X.shape, -1 + X.shape.length), ...X.shape.slice(1, -1)];
  const type = tensorType(X.elemType, shape);
  return { ...X, type, tensor: type, shape, elemType: X.elemType, constant: undefined, contents: undefined };
}

/**
 * ONNX Runtime's own operators of its CUDA provider: convolutions over [N, H, W, C], the layout of tensor
 * cores, with weights in ONNX's order [M, C / group, kh, kw]; and a sum of two tensors and a value per
 * channel in one kernel. The domain of the convolutions is internal to ONNX Runtime, whose layout
 * transformation writes them: they live in opened sessions, never in files.
 */
export const cuda = {
  NhwcConv: operator({
    domain: "com.ms.internal.nhwc",
    opType: "Conv",
    inputs: ["X", "W", "B?"],
    outputs: ["Y"],
    attributes: convAttributes,
    infer: ([X, W, B], attributes) => {
      const [Y] = neural.Conv.infer([channelsFirst(X), W, B ?? null], attributes);
      return Y?.kind === "tensor" ? [tensorType(Y.elemType, channelsLast(Y.shape))] : [];
    },
  }),
  NhwcConvTranspose: operator({
    domain: "com.ms.internal.nhwc",
    opType: "ConvTranspose",
    inputs: ["X", "W", "B?"],
    outputs: ["Y"],
    attributes: { ...convAttributes, output_padding: optional("ints"), output_shape: optional("ints") },
    infer: ([X, W, B], attributes) => {
      const [Y] = neural.ConvTranspose.infer([channelsFirst(X), W, B ?? null], attributes);
      return Y?.kind === "tensor" ? [tensorType(Y.elemType, channelsLast(Y.shape))] : [];
    },
  }),
  // data + bias + residual where it does not train; the bias is added along the last axis
  BiasDropout: operator({
    domain: "com.microsoft",
    inputs: ["data", "bias", "residual?"],
    outputs: ["output", "mask?"],
    infer: ([data, , residual]) => {
      if (residual) expectSame(data, residual);
      return [...sameAs(data), tensorType("bool", data.shape)];
    },
  }),
};

function channelsLast<T>([images, channels, ...pixels]: readonly T[]): T[] {
  return [images, ...pixels, channels].filter((dim) => dim !== undefined);
}
