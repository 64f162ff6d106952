import { defineFunction, tensorType } from "../../graph-builder/index.ts";

export const anyShape = tensorType("float", ["..."]);

/**
 * Rounds to quarters; the gradient is that of the identity: a straight-through estimator (Bengio et al.
 * 2013).
 */
export const roundThrough = defineFunction({
  domain: "com.example",
  name: "RoundThrough",
  inputs: [["x", anyShape]],
  outputs: [["y", anyShape]],
  body: (g, [x]) => [g.Mul(g.Round(g.Mul(x, g.float(4))), g.float(0.25))],
  gradient: (_, { dY }) => [dY],
});

/** The identity, whose gradient is -lambda dY: a gradient reversal layer (Ganin and Lempitsky 2015). */
export const reverseGradient = defineFunction({
  domain: "org.example.adversarial",
  name: "ReverseGradient",
  inputs: [
    ["x", anyShape],
    ["lambda", tensorType("float", [])],
  ],
  outputs: [["y", anyShape]],
  body: (g, [x]) => [g.Identity(x)],
  gradient: (g, { I, dY }) => [g.Neg(g.Mul(dY, I(1))), null],
});

export const rows = tensorType("float", ["rows", "size"]);

/** alpha * a + (1 - alpha) * b and alpha, without a gradient of its own. */
export const mix = defineFunction({
  domain: "com.example",
  name: "Mix",
  inputs: [
    ["a", rows],
    ["b", rows],
    ["alpha", tensorType("float", ["rows"])],
  ],
  outputs: [
    ["mixed", rows],
    ["weight", tensorType("float", ["rows", 1])],
  ],
  body: (g, [a, b, alpha]) => {
    const weight = g.Unsqueeze(alpha, g.int64([1]));
    return [g.scope("sum", () => g.Add(g.Mul(a, weight), g.Mul(b, g.Sub(g.float(1), weight)))), weight];
  },
});

/** Calls another function. */
export const mixRounded = defineFunction({
  domain: "org.example.outer",
  name: "MixRounded",
  inputs: [
    ["a", rows],
    ["alpha", tensorType("float", ["rows"])],
  ],
  outputs: [["y", rows]],
  body: (g, [a, alpha]) => [g.call(mix, [g.call(roundThrough, [a]), g.Exp(a), alpha])[0]],
});
