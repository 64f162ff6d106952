import { tensorType } from "../types.ts";
import { dimAt, expectSame, refuse, sameAs, shapeInput } from "./inference.ts";
import {
  batchNormAttributes,
  convAttributes,
  crossEntropyAttributes,
  expectPerChannel,
  maxPoolAttributes,
} from "./neural.ts";
import { attribute, operator, required } from "./schema.ts";

const activationGrad = operator({
  domain: "com.microsoft",
  inputs: ["dY", "Y"],
  outputs: ["dX"],
  infer: ([dY, Y]) => {
    expectSame(dY, Y);
    return sameAs(Y);
  },
});

const softmaxGrad = operator({
  domain: "com.microsoft",
  inputs: ["dY", "Y"],
  outputs: ["dX"],
  attributes: { axis: attribute("int", -1) },
  infer: ([dY, Y]) => {
    expectSame(dY, Y);
    return sameAs(Y);
  },
});

/** ONNX Runtime's training operators, with the names, inputs and attributes of its schemas (orttraining/core/graph/training_op_defs.cc). */
export const training = {
  ConvGrad: operator({
    domain: "com.microsoft",
    inputs: ["dY", "X", "W"],
    outputs: ["dX?", "dW?", "dB?"],
    attributes: convAttributes,
    infer: ([, X, W]) => [X.type, W.type, tensorType(X.elemType, [dimAt(W.shape, 0)])],
  }),
  BatchNormInternal: operator({
    domain: "com.microsoft",
    inputs: ["X", "scale", "B", "input_mean", "input_var"],
    outputs: ["Y", "running_mean", "running_var", "saved_mean", "saved_inv_std"],
    attributes: batchNormAttributes,
    infer: ([X, scale, B, mean, variance]) => {
      expectPerChannel(X, scale, B, mean, variance);
      return [X.type, mean.type, variance.type, mean.type, variance.type];
    },
  }),
  BatchNormalizationGrad: operator({
    domain: "com.microsoft",
    inputs: ["dY", "X", "scale", "mean", "variance"],
    outputs: ["X_grad", "scale_grad", "bias_grad"],
    attributes: { epsilon: required("float") },
    infer: ([dY, X, scale, mean, invStd]) => {
      expectSame(dY, X);
      expectPerChannel(X, scale, mean, invStd);
      return [X.type, scale.type, scale.type];
    },
  }),
  ReluGrad: activationGrad,
  SigmoidGrad: activationGrad,
  TanhGrad: activationGrad,
  SoftmaxGrad_13: softmaxGrad,
  LogSoftmaxGrad_13: softmaxGrad,
  SoftmaxCrossEntropyLossGrad: operator({
    domain: "com.microsoft",
    inputs: ["dY", "log_prob", "label", "weight?"],
    outputs: ["d_logits"],
    attributes: crossEntropyAttributes,
    infer: ([, logProb]) => sameAs(logProb),
  }),
  GatherGrad: operator({
    domain: "com.microsoft",
    inputs: ["shape", "indices", "dY"],
    outputs: ["dX"],
    attributes: { axis: attribute("int", 0) },
    infer: ([shape, , dY]) => [tensorType(dY.elemType, shapeInput(shape))],
  }),
  SliceGrad: operator({
    domain: "com.microsoft",
    inputs: ["dY", "shape", "starts", "ends", "axes?", "steps?"],
    outputs: ["dX"],
    infer: ([dY, shape]) => [tensorType(dY.elemType, shapeInput(shape))],
  }),
  MaxPoolGrad: operator({
    inputs: ["dY", "Indices"],
    outputs: ["dX"],
    attributes: maxPoolAttributes,
    // the kernel reads dX's shape from the file; here it is that of the MaxPool which the indices come from
    infer: ([dY, Indices]) => {
      expectSame(dY, Indices);
      const pool = Indices.producer;
      return pool?.opType === "MaxPool" ? sameAs(pool.input(0)) : refuse("Indices must come from a MaxPool");
    },
  }),
  InPlaceAccumulatorV2: operator({
    domain: "com.microsoft",
    inputs: ["accumulation_buffer", "value", "overwrite_flag?"],
    outputs: ["updated_flag", "accumulation_buffer_out?"],
    infer: ([buffer, value]) => {
      expectSame(buffer, value);
      return [tensorType("bool", [1]), buffer.type];
    },
  }),
  PassThrough: operator({
    domain: "com.microsoft",
    inputs: ["inputs..."],
    outputs: ["outputs..."],
    infer: (inputs) => inputs.map(({ type }) => type),
  }),
  SGDOptimizerV2: operator({
    domain: "com.microsoft",
    inputs: ["lr", "weights", "gradients", "update_signal?"],
    outputs: ["update_completed", "updated_weights?"],
    // the schema of 1.19.2 infers a scalar; its WebAssembly build refuses any other declaration
    infer: ([, weights]) => [tensorType("bool", []), weights.type],
  }),
  AdamWOptimizer: operator({
    domain: "com.microsoft",
    inputs: ["lr", "step", "weights", "gradients", "momentums_1", "momentums_2", "update_signal?"],
    outputs: ["updated_flag", "updated_weights?", "updated_momentums_1?", "updated_momentums_2?"],
    attributes: {
      adam_mode: attribute("int", 0),
      alpha: attribute("float", 0.9),
      beta: attribute("float", 0.999),
      correct_bias: attribute("int", 1),
      epsilon: attribute("float", 1e-8),
      weight_decay: attribute("float", 1e-2),
    },
    infer: ([, , weights]) => [tensorType("bool", [1]), weights.type, weights.type, weights.type],
  }),
};
