import { unary } from "./elementwise.ts";
import { broadcastShapes, commonElemType, normalAxis, refuse, sameAs } from "./inference.ts";
import { attribute, operator } from "./schema.ts";

/** An activation with a parameter `alpha`. */
const scaled = (alpha: number) =>
  operator({
    inputs: ["X"],
    outputs: ["Y"],
    attributes: { alpha: attribute("float", alpha) },
    infer: ([X]) => sameAs(X),
  });

/** An operator that works along one axis. */
const alongAxis = operator({
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
  LeakyRelu: scaled(0.01),
  PRelu: operator({
    inputs: ["X", "slope"],
    outputs: ["Y"],
    infer: ([X, slope]) => {
      commonElemType(X, slope);
      // the slope may be broadcast to X, but not X to the slope
      if (broadcastShapes(X.shape, slope.shape).length !== X.shape.length)
        refuse("the slope has too many axes");
      return sameAs(X);
    },
  }),
  ThresholdedRelu: scaled(1),
  Elu: scaled(1),
  Selu: operator({
    inputs: ["X"],
    outputs: ["Y"],
    attributes: {
      alpha: attribute("float", 1.6732631921768188),
      gamma: attribute("float", 1.0507010221481323),
    },
    infer: ([X]) => sameAs(X),
  }),
  Celu: { ...scaled(1), since: 12 },
  HardSigmoid: operator({
    inputs: ["X"],
    outputs: ["Y"],
    attributes: { alpha: attribute("float", 0.2), beta: attribute("float", 0.5) },
    infer: ([X]) => sameAs(X),
  }),
  HardSwish: { ...unary, since: 14 },
  Softplus: unary,
  Softsign: unary,
  Mish: { ...unary, since: 18 },
  Shrink: operator({
    inputs: ["input"],
    outputs: ["output"],
    attributes: { bias: attribute("float", 0), lambd: attribute("float", 0.5) },
    infer: ([input]) => sameAs(input),
  }),
  Softmax: alongAxis,
  LogSoftmax: alongAxis,
  Hardmax: alongAxis,
};
