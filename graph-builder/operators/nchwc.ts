import { productOf } from "../dims.ts";
import { tensorType } from "../types.ts";
import { dimAt, mayEqual, refuse } from "./inference.ts";
import { convAttributes, kernelOf } from "./neural.ts";
import { attribute, operator, optional } from "./schema.ts";
import { windowedDims, windowOf } from "./windows.ts";

/**
 * ONNX Runtime's own operators over the blocked layout of its CPU kernels: [N, C / B, H, W, B] behind the
 * declared shape [N, C, H, W], B channels side by side. Its optimizer uses them for constant weights only;
 * they take any weights, blocked OIHWBiBo. The domain is internal to ONNX Runtime: these live in opened
 * sessions, never in files.
 */
export const nchwc = {
  ReorderInput: operator({
    domain: "com.microsoft.nchwc",
    inputs: ["X"],
    outputs: ["Y"],
    attributes: { channels_last: attribute("int", 0) },
    infer: ([X], { channels_last }) => {
      const [images = 1, ...rest] = X.shape;
      const shape = channels_last ? [images, ...rest.slice(-1), ...rest.slice(0, -1)] : X.shape;
      return [tensorType(X.elemType, shape)];
    },
  }),
  ReorderOutput: operator({
    domain: "com.microsoft.nchwc",
    inputs: ["X"],
    outputs: ["Y"],
    attributes: { channels: attribute("int", 0), channels_last: attribute("int", 0) },
    infer: ([X], { channels, channels_last }) => {
      const [images = 1, , ...pixels] = X.shape;
      if (dimAt(X.shape, 1) !== channels) refuse(`channels ${channels} are not those of X`);
      return [
        tensorType(X.elemType, channels_last ? [images, ...pixels, channels] : [images, channels, ...pixels]),
      ];
    },
  }),
  NchwcConv: operator({
    domain: "com.microsoft.nchwc",
    opType: "Conv",
    inputs: ["X", "W", "B?", "Sum?"],
    outputs: ["Y"],
    attributes: { ...convAttributes, activation: optional("string") },
    infer: ([X, W], attributes) => {
      const filters = dimAt(W.shape, 0);
      const channels = productOf([attributes.group, dimAt(W.shape, 1)]);
      if (!mayEqual(dimAt(X.shape, 1), channels)) refuse(`X has ${X.shape[1]} channels, W wants ${channels}`);
      const window = windowOf(kernelOf(W, attributes), attributes);
      return [
        tensorType(X.elemType, [dimAt(X.shape, 0), filters, ...windowedDims(X.shape.slice(2), window)]),
      ];
    },
  }),
};
