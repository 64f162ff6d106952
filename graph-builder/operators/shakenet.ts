import { tensorType } from "../types.ts";
import { commonElemType, dimAt, expectSame, refuse } from "./inference.ts";
import { type Operand, operator } from "./schema.ts";

/** Refuses a weight that is neither one number an image nor one for all. */
function expectPerImage(weight: Operand, images: Operand, name: string): void {
  if (images.shape.length !== 4) refuse(`branches must be [N, C, H, W], not [${images.shape.join(", ")}]`);
  const [count] = weight.shape;
  if (weight.shape.length !== 1 || (count !== 1 && count !== dimAt(images.shape, 0))) {
    refuse(`${name} must be one number an image, not [${weight.shape.join(", ")}]`);
  }
}

/** The mixing of Shake-Shake's two branches, as model-local functions; their bodies are in shake-shake.ts. */
export const shakenet = {
  ShakeForward: operator({
    domain: "shakenet",
    inputs: ["branch1", "branch2", "alpha"],
    outputs: ["mixed"],
    infer: ([branch1, branch2, alpha]) => {
      expectSame(branch1, branch2);
      expectPerImage(alpha, branch1, "alpha");
      return [tensorType(commonElemType(branch1, branch2, alpha), branch1.shape)];
    },
  }),
  ShakeBackward: operator({
    domain: "shakenet",
    inputs: ["grad", "beta"],
    outputs: ["branch1_grad", "branch2_grad"],
    infer: ([grad, beta]) => {
      expectPerImage(beta, grad, "beta");
      return [grad.type, grad.type];
    },
  }),
};
