import { at } from "../../../at.ts";
import type { Builder } from "../../../builder.ts";
import { floatLike } from "../../../composites.ts";
import type { Value } from "../../../ir.ts";
import { refuse } from "../../../operators/inference.ts";
import { ownEntry } from "../../../own-entry.ts";

/** The operators that are recurrent layers. */
export type RecurrentOpType = "LSTM" | "GRU" | "RNN";

/** An activation of a recurrent layer, applied to a value. */
export type Activation = (g: Builder, X: Value) => Value;

interface ActivationKind {
  /** The parameters that it has, with their defaults. */
  readonly alpha?: number;
  readonly beta?: number;
  readonly apply: (
    g: Builder,
    X: Value,
    parameters: { readonly alpha: number; readonly beta: number },
  ) => Value;
}

const affine = (g: Builder, X: Value, alpha: number, beta: number) =>
  g.Add(g.Mul(X, floatLike(g, X, alpha)), floatLike(g, X, beta));

/**
 * ONNX's list, with the defaults of the operators of these names. A parameter without a default is NaN. Names
 * are compared without regard to case.
 */
const kinds: Readonly<Record<string, ActivationKind>> = {
  relu: { apply: (g, X) => g.Relu(X) },
  tanh: { apply: (g, X) => g.Tanh(X) },
  sigmoid: { apply: (g, X) => g.Sigmoid(X) },
  softsign: { apply: (g, X) => g.Softsign(X) },
  softplus: { apply: (g, X) => g.Softplus(X) },
  leakyrelu: { alpha: 0.01, apply: (g, X, { alpha }) => g.LeakyRelu(X, { alpha }) },
  thresholdedrelu: { alpha: 1, apply: (g, X, { alpha }) => g.ThresholdedRelu(X, { alpha }) },
  elu: { alpha: 1, apply: (g, X, { alpha }) => g.Elu(X, { alpha }) },
  hardsigmoid: { alpha: 0.2, beta: 0.5, apply: (g, X, parameters) => g.HardSigmoid(X, parameters) },
  affine: { alpha: NaN, beta: NaN, apply: (g, X, { alpha, beta }) => affine(g, X, alpha, beta) },
  scaledtanh: {
    alpha: NaN,
    beta: NaN,
    apply: (g, X, { alpha, beta }) => g.Mul(g.Tanh(g.Mul(X, floatLike(g, X, beta))), floatLike(g, X, alpha)),
  },
};

const defaults: Readonly<Record<RecurrentOpType, readonly string[]>> = {
  LSTM: ["Sigmoid", "Tanh", "Tanh"],
  GRU: ["Sigmoid", "Tanh"],
  RNN: ["Tanh"],
};

export interface ActivationAttributes {
  readonly activations: readonly string[] | undefined;
  readonly activation_alpha: readonly number[] | undefined;
  readonly activation_beta: readonly number[] | undefined;
}

/**
 * The activations of each direction. The lists of alpha and beta are used up in order by the activations that
 * have such a parameter. Throws ShapeError for a name that ONNX does not have, and for too few names.
 */
export function activationsOf(
  opType: RecurrentOpType,
  { activations, activation_alpha = [], activation_beta = [] }: ActivationAttributes,
  directions: number,
): Activation[][] {
  const usual = defaults[opType];
  const names = activations ?? Array.from({ length: directions }, () => usual).flat();
  if (names.length < directions * usual.length)
    refuse(`it needs ${directions * usual.length} activations, not ${names.length}`);
  const [alphas, betas] = [[...activation_alpha], [...activation_beta]];
  const all = names.map((name): Activation => {
    const kind =
      ownEntry(kinds, name.toLowerCase()) ?? refuse(`${name} is not an activation of recurrent layers`);
    const alpha = kind.alpha === undefined ? 0 : (alphas.shift() ?? kind.alpha);
    const beta = kind.beta === undefined ? 0 : (betas.shift() ?? kind.beta);
    if (Number.isNaN(alpha) || Number.isNaN(beta)) refuse(`its activation ${name} needs an alpha and a beta`);
    return (g, X) => kind.apply(g, X, { alpha, beta });
  });
  return Array.from({ length: directions }, (_, d) => usual.map((_, i) => at(all, d * usual.length + i)));
}
