import { tensorType } from "../types.ts";
import { commonElemType, dimAt, expectSame, refuse } from "./inference.ts";
import { operator } from "./schema.ts";

/** The mixing of Shake-Shake's two branches, as model-local functions; their bodies are in shake-shake.ts. */
export const shakenet = {
  ShakeForward: operator({
    domain: "shakenet",
    inputs: ["branch1", "branch2", "alpha"],
    outputs: ["mixed"],
    infer: ([branch1, branch2, alpha]) => {
      expectSame(branch1, branch2);
      const [images] = alpha.shape;
      if (alpha.shape.length !== 1 || (images !== 1 && images !== dimAt(branch1.shape, 0))) {
        refuse(`alpha must be one number an image, not [${alpha.shape.join(", ")}]`);
      }
      return [tensorType(commonElemType(branch1, branch2, alpha), branch1.shape)];
    },
  }),
  ShakeBackward: operator({
    domain: "shakenet",
    inputs: ["grad", "beta"],
    outputs: ["branch1_grad", "branch2_grad"],
    infer: ([grad, beta]) => {
      if (beta.shape.length !== 1 || beta.shape[0] !== dimAt(grad.shape, 0)) {
        refuse(`beta must be one number an image, not [${beta.shape.join(", ")}]`);
      }
      return [grad.type, grad.type];
    },
  }),
};
