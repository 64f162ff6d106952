import type { Tensor } from "../graph-builder/index.ts";

/**
 * The initial values of a tensor: He's normal with fan-out (std = sqrt(2 / (k k filters))),
 * U(-1/sqrt(fan-in), 1/sqrt(fan-in)), or a constant.
 */
export type Initialization = "he-fan-out" | "uniform-fan-in" | "zeros" | "ones";

/**
 * A tensor of the checkpoint. Parameters are trained; statistics are batch normalisation's running mean and
 * variance.
 */
export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initialization: Initialization;
  /** Whether it is trained, a running statistic of batch normalisation, or a moment of the optimizer. */
  readonly kind: "parameter" | "statistic" | "moment";
}

/** A tensor of the checkpoint with its first value; a constant is one that no step changes. */
export interface StateTensor {
  readonly name: string;
  readonly tensor: Tensor;
  readonly kind: ParameterSpec["kind"] | "constant";
}
