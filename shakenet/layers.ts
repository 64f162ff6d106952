import type { Initialization, ParameterSpec } from "../artifacts/parameters.ts";
import type { Builder } from "../graph-builder/builder.ts";
import type { Value } from "../graph-builder/ir.ts";
import type { NetworkMode } from "./network-mode.ts";

/** The layers that the networks repeat. */
export class Layers {
  readonly g: Builder;
  readonly mode: NetworkMode;
  readonly #branches: Initialization;

  /** `branches` is the initialization of 3x3 filters behind the stem. */
  constructor(g: Builder, mode: NetworkMode, branches: Initialization) {
    this.g = g;
    this.mode = mode;
    this.#branches = branches;
  }

  /** A convolution without bias, padded to keep the size at stride 1 unless pads are given. */
  conv(
    name: string,
    x: Value,
    filters: number,
    kernel: number,
    {
      stride = 1,
      pads = Array(4).fill((kernel - 1) / 2),
    }: { stride?: number; pads?: readonly number[] } = {},
  ): Value {
    const shape = [filters, Number(x.shape[1]), kernel, kernel];
    const W = this.mode.tensor({
      name: `${name}.weight`,
      shape,
      initialization: kernel === 3 && !name.startsWith("stem") ? this.#branches : "he-fan-out",
      kind: "parameter",
    });
    return this.g.Conv(x, W, { kernel_shape: [kernel, kernel], strides: [stride, stride], pads });
  }

  /** Batch normalisation: epsilon 1e-5, and ONNX's momentum 0.9 for Torch's 0.1. */
  batchNorm(name: string, x: Value): Value {
    const shape = [Number(x.shape[1])];
    const tensor = (leaf: string, initialization: Initialization, kind: ParameterSpec["kind"]) =>
      this.mode.tensor({ name: `${name}.${leaf}`, shape, initialization, kind });
    const scale = tensor("weight", "ones", "parameter");
    const bias = tensor("bias", "zeros", "parameter");
    const mean = tensor("running_mean", "zeros", "statistic");
    const variance = tensor("running_var", "ones", "statistic");
    return this.mode.isTraining
      ? this.g.BatchNormInternal(x, scale, bias, mean, variance, { training_mode: 1 })[0]
      : this.g.BatchNormalization(x, scale, bias, mean, variance)[0];
  }
}
