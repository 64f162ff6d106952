import type { Initialization, ParameterSpec } from "../artifacts/parameters.ts";
import type { Builder } from "../graph-builder/builder.ts";
import type { Value } from "../graph-builder/ir.ts";
import type { NetworkSettings } from "./network.ts";
import type { NetworkMode } from "./network-mode.ts";
import type { Activation } from "./paper-settings.ts";

/** The slope of x sigmoid(slope x), close to GELU (Hendrycks and Gimpel 2016, arXiv 1606.08415). */
const GELU_SLOPE = 1.702;

/** The initial filters of 3x3 convolutions behind the stem, and the nonlinearity. */
type LayerSettings = Pick<NetworkSettings, "initialization" | "activation">;

/** The layers that the networks repeat. */
export class Layers {
  readonly g: Builder;
  readonly mode: NetworkMode;
  readonly #branches: Initialization;
  readonly #activation: Activation;

  constructor(g: Builder, mode: NetworkMode, { initialization = "he", activation = "relu" }: LayerSettings) {
    this.g = g;
    this.mode = mode;
    this.#branches = initialization === "dirac" ? "dirac" : "he-fan-out";
    this.#activation = activation;
  }

  /** The nonlinearity of the network, for every number of x. */
  activate(x: Value): Value {
    if (this.#activation === "relu") return this.g.Relu(x);
    return this.g.Mul(x, this.g.Sigmoid(this.g.Mul(x, this.g.float(GELU_SLOPE))));
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
