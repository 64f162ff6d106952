import type { Tensor } from "../graph-builder/index.ts";

/**
 * The initial values of a tensor: He's normal with fan-out (std = sqrt(2 / (k k filters))),
 * U(-1/sqrt(fan-in), 1/sqrt(fan-in)), a constant, or dirac: filter i passes channel i on as it is, and the
 * filters beyond the last channel are he-fan-out.
 */
export type Initialization = "he-fan-out" | "uniform-fan-in" | "zeros" | "ones" | "dirac";

/**
 * A tensor of the checkpoint. Parameters are trained; statistics are batch normalisation's running mean and
 * variance.
 */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initialization: Initialization;
  /**
   * Whether it is trained, a running statistic of batch normalisation, a moment of the optimizer, or a
   * constant, which no step changes.
   */
  readonly kind: "parameter" | "statistic" | "moment" | "constant";
}

/** A tensor of the checkpoint with its first value. */
export interface StateTensor {
  readonly name: string;
  readonly tensor: Tensor;
  readonly kind: ParameterSpec["kind"];
}
