import { type Builder, defineFunction, tensorType, type Value } from "../graph-builder/index.ts";

const images = tensorType("float", ["batch", "C", "H", "W"]);
const weights = tensorType("float", ["batch"]);

/** The gradient of a mix: beta * grad for branch 1 and (1 - beta) * grad for branch 2, one beta per image. */
export const shakeBackward = defineFunction({
  domain: "shakenet",
  name: "ShakeBackward",
  inputs: [
    ["grad", images],
    ["beta", weights],
  ],
  outputs: [
    ["branch1_grad", images],
    ["branch2_grad", images],
  ],
  body: (g, [grad, beta]) => {
    const weight = perImage(g, beta);
    return [g.Mul(grad, weight), g.Mul(grad, g.Sub(g.float(1), weight))];
  },
  flops: (node, elements) => 2 * elements(node.output(0)),
});

/**
 * The mix of Shake-Shake's two branches (Gastaldi 2017): alpha * branch1 + (1 - alpha) * branch2, one alpha
 * per image. The gradient reads alpha too; appendGradients substitutes beta for alpha in the backward pass.
 */
export const shakeForward = defineFunction({
  domain: "shakenet",
  name: "ShakeForward",
  inputs: [
    ["branch1", images],
    ["branch2", images],
    ["alpha", weights],
  ],
  outputs: [["mixed", images]],
  body: (g, [branch1, branch2, alpha]) => {
    const weight = perImage(g, alpha);
    return [g.Add(g.Mul(branch1, weight), g.Mul(branch2, g.Sub(g.float(1), weight)))];
  },
  gradient: (g, { I, dY }) => [
    ...g.call(shakeBackward, [dY, I(2)]),
    // dalpha = sum of dY * (branch1 - branch2) over an image
    () => g.ReduceSum(g.Mul(dY, g.Sub(I(0), I(1))), g.int64([1, 2, 3]), { keepdims: 0 }),
  ],
  flops: (node, elements) => 3 * elements(node.output(0)),
});

/** The gradient of a branch under ShakeDrop: (b + beta - b beta) * grad, one b and beta per image. */
export const shakeDropBackward = defineFunction({
  domain: "shakenet",
  name: "ShakeDropBackward",
  inputs: [
    ["grad", images],
    ["b", weights],
    ["beta", weights],
  ],
  outputs: [["branch_grad", images]],
  body: (g, [grad, b, beta]) => [g.Mul(grad, perImage(g, shakeDropFactor(g, b, beta)))],
  flops: (node, elements) => elements(node.output(0)),
});

/**
 * A residual branch under ShakeDrop (Yamada et al. 2018, arXiv 1802.02375, equation 4): (b + alpha - b alpha)
 * * branch, one b and alpha per image. The gradient reads alpha too; appendGradients substitutes beta for
 * alpha in the backward pass.
 */
export const shakeDropForward = defineFunction({
  domain: "shakenet",
  name: "ShakeDropForward",
  inputs: [
    ["branch", images],
    ["b", weights],
    ["alpha", weights],
  ],
  outputs: [["shaken", images]],
  body: (g, [branch, b, alpha]) => [g.Mul(branch, perImage(g, shakeDropFactor(g, b, alpha)))],
  gradient: (g, { I, dY }) => {
    // the factor is 1 - (1 - b) (1 - alpha)
    const toFactor = (other: Value) => () =>
      g.Mul(g.ReduceSum(g.Mul(dY, I(0)), g.int64([1, 2, 3]), { keepdims: 0 }), g.Sub(g.float(1), other));
    return [g.call(shakeDropBackward, [dY, I(1), I(2)]), toFactor(I(2)), toFactor(I(1))];
  },
  flops: (node, elements) => elements(node.output(0)),
});

/** The functions that `decodeModel` needs to keep the function calls of the networks as single nodes. */
export const shakeNetFunctions = [shakeForward, shakeBackward, shakeDropForward, shakeDropBackward];

/** b + alpha - b alpha. */
function shakeDropFactor(g: Builder, b: Value, alpha: Value): Value {
  return g.Sub(g.Add(b, alpha), g.Mul(b, alpha));
}

/** [batch] to [batch, 1, 1, 1]. */
function perImage(g: Builder, weight: Value): Value {
  return g.Unsqueeze(weight, g.int64([1, 2, 3]));
}
