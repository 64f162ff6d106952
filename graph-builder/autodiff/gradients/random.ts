import type { random as operators } from "../../operators/random.ts";
import type { Gradients } from "./rule.ts";

/** Random numbers do not vary with their shape; a draw of 0 or 1 is constant but for jumps. */
export const random: Gradients<typeof operators> = {
  RandomNormalLike: "zero",
  RandomUniformLike: "zero",
  Bernoulli: "zero",
  RandomNormal: "zero",
  RandomUniform: "zero",
};
