import { at } from "../../../at.ts";
import type { Builder } from "../../../builder.ts";
import { floatLike } from "../../../composites.ts";
import type { Value } from "../../../ir.ts";
import type { Propagate } from "../rule.ts";
import {
  activated,
  backInTime,
  biasesOf,
  type Cell,
  type CellGradients,
  type Direction,
  masked,
  parts,
  previousStates,
  product,
  slope,
  toRows,
} from "./direction.ts";

/** What the gates of all steps read. */
interface Products {
  readonly H: Value;
  readonly az: Value;
  readonly ar: Value;
  /** What r is multiplied by, before or after its product with the weights. */
  readonly reset: Value;
  /** a_h, from r times `reset`. */
  readonly hidden: (resetBy: Value) => Value;
}

/** The gates of all steps, and their derivatives. */
interface Gates {
  readonly r: Value;
  /** The derivatives of H by H_prev on the direct way, by a_z and by a_h, and of r `reset` by a_r. */
  readonly slopes: readonly [z: Value, Kz: Value, Kh: Value, Kr: Value];
}

/** z = f(a_z), r = f(a_r), c = g(a_h), H = (1 - z) c + z H_prev, where r scales H_prev or its product. */
export function gru(isLinearBeforeReset: boolean): Cell {
  return (g, direction, propagate) => {
    const H = previousStates(g, direction);
    const backward = isLinearBeforeReset ? throughProduct : throughState;
    return backward(g, direction, propagate, H);
  };
}

function gatesOf(g: Builder, direction: Direction, propagate: Propagate, products: Products): Gates {
  const { H, az, ar, reset } = products;
  const [z, r] = [activated(g, direction, 0, az), activated(g, direction, 0, ar)];
  const ah = products.hidden(g.Mul(r, reset));
  const c = activated(g, direction, 1, ah);
  const Kz = slope(g, propagate, z, az, g.Sub(H, c));
  const Kh = slope(g, propagate, c, ah, g.Sub(floatLike(g, z, 1), z));
  const Kr = slope(g, propagate, r, ar, reset);
  const slopes = [masked(g, direction, z), masked(g, direction, Kz), masked(g, direction, Kh), Kr] as const;
  return { r, slopes };
}

/** linear_before_reset 0: a_h = X Wh^T + (r H_prev) Rh^T + b. */
function throughState(g: Builder, direction: Direction, propagate: Propagate, H: Value): CellGradients {
  const { X, W, R, hidden } = direction;
  const biases = biasesOf(g, direction);
  const P = parts(g, g.Gemm(toRows(g, X), W, biases && g.Add(...biases), { transB: 1 }), hidden, 1);
  const [Rz, Rr, Rh] = [0, 1, 2].map((i) => at(parts(g, R, hidden, 0), i));
  const [forZ, forR, forH] = [Rz ?? R, Rr ?? R, Rh ?? R];
  const { r, slopes } = gatesOf(g, direction, propagate, {
    H,
    az: g.Gemm(H, forZ, at(P, 0), { transB: 1 }),
    ar: g.Gemm(H, forR, at(P, 1), { transB: 1 }),
    reset: H,
    hidden: (scaled) => g.Gemm(scaled, forH, at(P, 2), { transB: 1 }),
  });
  const { dInitial, made } = backInTime(g, direction, {
    rows: [r, ...slopes],
    captured: [g.Concat(forZ, forR, { axis: 0 }), forH],
    step: (b, { dH, elements: [reset, z, Kz, Kh, Kr], captured: [gateWeights, weights] }) => {
      const dah = b.Mul(dH, Kh);
      const dScaled = b.MatMul(dah, weights);
      const da = b.Concat(b.Mul(dH, Kz), b.Mul(dScaled, Kr), { axis: 1 });
      const direct = b.Add(b.Mul(dH, z), b.Mul(dScaled, reset));
      return { states: [b.Add(direct, b.MatMul(da, gateWeights))], made: [b.Concat(da, dah, { axis: 1 })] };
    },
  });
  const [da] = made;
  const dR = () => {
    const [gates, own] = g.Split(da, g.int64([2 * hidden, hidden]), { axis: 1 });
    return g.Concat(product(g, gates ?? da, H), product(g, own ?? da, g.Mul(r, H)), { axis: 0 });
  };
  return { dP: da, dQ: da, dR, dInitial };
}

/** linear_before_reset 1: a_h = X Wh^T + Wbh + r (H_prev Rh^T + Rbh). */
function throughProduct(g: Builder, direction: Direction, propagate: Propagate, H: Value): CellGradients {
  const { X, W, R, hidden } = direction;
  const [Wb, Rb] = biasesOf(g, direction) ?? [null, null];
  const P = parts(g, g.Gemm(toRows(g, X), W, Wb, { transB: 1 }), hidden, 1);
  const Q = parts(g, g.Gemm(H, R, Rb, { transB: 1 }), hidden, 1);
  const { r, slopes } = gatesOf(g, direction, propagate, {
    H,
    az: g.Add(at(P, 0), at(Q, 0)),
    ar: g.Add(at(P, 1), at(Q, 1)),
    reset: at(Q, 2),
    hidden: (scaled) => g.Add(at(P, 2), scaled),
  });
  const { dInitial, made } = backInTime(g, direction, {
    rows: [r, ...slopes],
    captured: [R],
    step: (b, { dH, elements: [reset, z, Kz, Kh, Kr], captured: [weights] }) => {
      const dah = b.Mul(dH, Kh);
      const dGates = b.Concat(b.Mul(dH, Kz), b.Mul(dah, Kr), { axis: 1 });
      const dq = b.Concat(dGates, b.Mul(dah, reset), { axis: 1 });
      const before = b.Add(b.Mul(dH, z), b.MatMul(dq, weights));
      return { states: [before], made: [b.Concat(dGates, dah, { axis: 1 }), dq] };
    },
  });
  const [dP, dQ] = made;
  return { dP, dQ, dR: () => product(g, dQ, H), dInitial };
}
