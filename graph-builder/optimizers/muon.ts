import { at } from "../at.ts";
import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import type { Update, Updated } from "./rules.ts";

/** Muon, and the SGD with Nesterov momentum that updates what Muon does not. */
export interface MuonSettings {
  readonly momentum: number;
  /** Decoupled: a step takes learning rate times decay off a weight. */
  readonly weightDecay: number;
  /** Newton-Schulz iterations. A weight with 0 of them is left to SGD with Nesterov momentum. */
  readonly newtonSchulzSteps: number;
  /**
   * A factor of the learning rate of the parameters that SGD updates: those of rank 0 or 1, and those with no
   * Newton-Schulz iteration.
   */
  readonly sgdRate: number;
  /**
   * The coupled weight decay of these parameters, as torch.optim.SGD's; `weightDecay / sgdRate` by default.
   */
  readonly sgdDecay?: number | undefined;
}

/** The polynomial a x + b x^3 + c x^5 that moves singular values towards 1 (Jordan et al. 2024). */
const [a, b, c] = [3.4445, -4.775, 2.0315];

/** A norm below this counts as this, as torch.optim.Muon's eps. */
const EPSILON = 1e-7;

/** Whether Muon updates a parameter, which is otherwise left to SGD. */
export function isOrthogonalized({ newtonSchulzSteps }: MuonSettings, rank: number): boolean {
  return rank >= 2 && newtonSchulzSteps > 0;
}

/**
 * Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/; torch.optim.Muon, in float32):
 * m' = mu m + (1-mu) g; d = (1-mu) g + mu m'; w' = w - lr decay w - lr max(1, rows/columns)^0.5 O(d), where
 * O makes the singular values of the matrix about 1. The matrix of a tensor has the first axis as its rows,
 * and all other axes as its columns.
 */
export function muon(g: Builder, update: Update, settings: MuonSettings): Updated {
  const { weight, gradient, learningRate } = update;
  const { momentum, weightDecay, newtonSchulzSteps } = settings;
  const mu = g.float(momentum);
  const own = g.Mul(gradient, g.float(1 - momentum));
  const next = g.Add(g.Mul(at(update.moments, 0), mu), own);
  const shape = weight.shape.map(Number);
  const [rows, columns] = [at(shape, 0), shape.slice(1).reduce((size, dim) => size * dim, 1)];
  const matrix = g.Reshape(g.Add(own, g.Mul(next, mu)), g.int64([rows, columns]));
  const direction = g.Reshape(orthogonal(g, matrix, rows > columns, newtonSchulzSteps), g.int64(shape));
  const rate = rows > columns ? g.Mul(learningRate, g.float(Math.sqrt(rows / columns))) : learningRate;
  const decay = g.Mul(learningRate, g.float(weightDecay));
  const kept = weightDecay === 0 ? weight : g.Sub(weight, g.Mul(weight, decay));
  return { weight: g.Sub(kept, g.Mul(direction, rate)), moments: [next] };
}

/**
 * The matrix with singular values of about 1, by Newton-Schulz iterations X' = a X + (b A + c A A) X with
 * A = X X^T, from the matrix over its Frobenius norm. A tall matrix is transposed, so that A is the smaller
 * product.
 */
function orthogonal(g: Builder, matrix: Value, isTall: boolean, steps: number): Value {
  const transpose = (value: Value) => g.Transpose(value, { perm: [1, 0] });
  const norm = g.Sqrt(g.ReduceSum(g.Mul(matrix, matrix), null, { keepdims: 0 }));
  const scaled = g.Div(matrix, g.Max(norm, g.float(EPSILON)));
  let x = isTall ? transpose(scaled) : scaled;
  for (let step = 0; step < steps; step++) {
    const square = g.MatMul(x, transpose(x));
    const fourth = g.MatMul(square, square);
    const polynomial = g.Add(g.Mul(square, g.float(b)), g.Mul(fourth, g.float(c)));
    x = g.Add(g.Mul(x, g.float(a)), g.MatMul(polynomial, x));
  }
  return isTall ? transpose(x) : x;
}
