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

/** The functions that `decodeModel` needs to keep ShakeNet's function calls as single nodes. */
export const shakeNetFunctions = [shakeForward, shakeBackward];

/** [batch] to [batch, 1, 1, 1]. */
function perImage(g: Builder, weight: Value): Value {
  return g.Unsqueeze(weight, g.int64([1, 2, 3]));
}
