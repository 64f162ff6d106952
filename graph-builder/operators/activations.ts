import { unary } from "./elementwise.ts";
import { normalAxis, sameAs } from "./inference.ts";
import { attribute, operator } from "./schema.ts";

const softmax = operator({
  inputs: ["input"],
  outputs: ["output"],
  attributes: { axis: attribute("int", -1) },
  infer: ([input], { axis }) => {
    normalAxis(axis, input.shape.length);
    return sameAs(input);
  },
});

export const activations = {
  Sigmoid: unary,
  Tanh: unary,
  Relu: unary,
  LeakyRelu: operator({
    inputs: ["X"],
    outputs: ["Y"],
    attributes: { alpha: attribute("float", 0.01) },
    infer: ([X]) => sameAs(X),
  }),
  HardSigmoid: operator({
    inputs: ["X"],
    outputs: ["Y"],
    attributes: { alpha: attribute("float", 0.2), beta: attribute("float", 0.5) },
    infer: ([X]) => sameAs(X),
  }),
  Softmax: softmax,
  LogSoftmax: softmax,
};
