import { filled } from "../../../composites.ts";
import {
  activated,
  backInTime,
  type Cell,
  masked,
  previousStates,
  product,
  slope,
  sumOfProducts,
} from "./direction.ts";

/** H = f(a) with a = X W^T + H_prev R^T + b. */
export const rnn: Cell = (g, direction, propagate) => {
  const H = previousStates(g, direction);
  const a = sumOfProducts(g, direction, H);
  const K = slope(g, propagate, activated(g, direction, 0, a), a, filled(g, a, 1));
  const { dInitial, made } = backInTime(g, direction, {
    rows: [masked(g, direction, K)],
    captured: [direction.R],
    step: (b, { dH, elements: [dHda], captured: [R] }) => {
      const da = b.Mul(dH, dHda);
      return { states: [b.MatMul(da, R)], made: [da] };
    },
  });
  const [da] = made;
  return { dP: da, dQ: da, dR: () => product(g, da, H), dInitial };
};
