import { encodeCheckpoint } from "../../artifacts/index.ts";
import {
  at,
  type Builder,
  createBuilder,
  createModel,
  encodeModel,
  floats,
  Graph,
  type Value,
} from "../../graph-builder/index.ts";

/** The tensors of the linear model before the first step. */
export const initial = { weight: [0.5, -0.25, 0.125, 1, 0, -1], bias: [0.1, -0.2] };

/** The optimizers. AdamW has the epsilon and the weight decay of Python's `generate_artifacts`. */
export type LinearOptimizer = "sgd" | "adamw";

/**
 * Artifacts of `output = input weight' + bias` with a mean squared error, in the form and with the names of
 * Python's `generate_artifacts`: gradients in its own operators, accumulators after them, and one optimizer
 * that takes sequences.
 */
export function linearArtifacts(optimizer: LinearOptimizer, maxNorm?: number) {
  const trainable = new Map([
    ["fc.weight", floats(initial.weight, [2, 3])],
    ["fc.bias", floats(initial.bias)],
  ]);
  // a buffer that no graph reads
  const frozen = new Map([["steps_seen", floats([3])]]);
  return {
    checkpoint: encodeCheckpoint({ trainable, frozen, properties: new Map() }),
    trainingModel: encodeModel(createModel(trainingGraph())),
    evalModel: encodeModel(createModel(evaluationGraph())),
    optimizerModel: encodeModel(createModel(optimizerModel(optimizer, maxNorm))),
  };
}

function forward(g: Builder): { X: Value; Y: Value; error: Value; square: Value } {
  const X = g.input("input", "float", ["batch", 3]);
  const target = g.input("target", "float", ["batch", 2]);
  const [W, B] = [g.input("fc.weight", "float", [2, 3]), g.input("fc.bias", "float", [2])];
  const Y = g.Gemm(X, W, B, { transB: 1 });
  Y.name = "output";
  const error = g.Sub(Y, target);
  return { X, Y, error, square: g.Pow(error, g.float(2)) };
}

function trainingGraph(): Graph {
  const g = createBuilder(new Graph("main_graph"));
  const { X, Y, error, square } = forward(g);
  const buffers = ["fc.weight", "fc.bias"].map((name) =>
    g.input(`${name}_grad.accumulation.buffer`, "float", name === "fc.weight" ? [2, 3] : [2]),
  );
  const reset = g.input("lazy_reset_grad", "bool", [1]);
  const dLoss = g.constant(floats(1), "onnx::reducemean_output::5_grad");
  const scale = g.Div(g.Size(square), g.Size(dLoss));
  const dSquare = g.Expand(g.Scale(dLoss, scale, { scale_down: 1 }), g.Shape(square));
  const power = g.Mul(g.float(2), g.Pow(error, g.Sub(g.float(2), g.float(1))));
  const dY = g.Identity(g.Mul(dSquare, power));
  dY.name = "output_grad";
  const dB = g.ReduceSum(dY, g.int64([0]), { keepdims: 0 });
  const dW = g.Gemm(dY, X, { transA: 1, beta: 0 });
  g.output(g.ReduceMean(square, { keepdims: 0 }), "onnx::reducemean_output::5");
  g.output(Y, "output");
  for (const [i, gradient] of [dW, g.Identity(dB)].entries()) {
    const name = at(["fc.weight", "fc.bias"], i);
    gradient.name = `${name}_grad`;
    g.output(g.InPlaceAccumulatorV2(at(buffers, i), gradient, reset)[0], `${name}_grad.accumulation.out`);
  }
  return g.graph;
}

function evaluationGraph(): Graph {
  const g = createBuilder(new Graph("main_graph"));
  const { Y, square } = forward(g);
  g.output(g.ReduceMean(square, { keepdims: 0 }), "onnx::reducemean_output::5");
  g.output(Y, "output");
  return g.graph;
}

function optimizerModel(optimizer: LinearOptimizer, maxNorm: number | undefined): Graph {
  const g = createBuilder(new Graph("graph"));
  const [rate, step] = [g.input("learning_rate", "float", [1]), g.input("step", "int64", [1])];
  const sequence = (name: string) => g.inputOf(name, { kind: "sequence", elemType: "float" });
  const [params, raw, first] = [sequence("params"), sequence("gradients"), sequence("first_order_moments")];
  const gradients = maxNorm === undefined ? raw : g.InplaceClipGradNorm(raw, { max_norm: maxNorm });
  if (optimizer === "sgd") {
    g.output(g.SGDOptimizerV2(rate, params, gradients)[0], "onnx::update_completed::9");
    return g.graph;
  }
  const second = sequence("second_order_moments");
  const attributes = { adam_mode: 1, epsilon: 1e-6, weight_decay: 0 };
  const [flag] = g.AdamWOptimizer(rate, step, params, gradients, first, second, attributes);
  g.output(flag, "onnx::adamw.updated_flag::9");
  return g.graph;
}

/** The same model in double precision, without ONNX. */
export class LinearReference {
  readonly parameters = [...initial.weight, ...initial.bias];
  gradients = this.parameters.map(() => 0);
  readonly #moments = this.parameters.map((): [number, number] => [0, 0]);
  #steps = 0;

  /** Adds the gradients of a batch and returns its loss. */
  train(input: readonly number[], target: readonly number[]): number {
    let loss = 0;
    for (const [i, wanted] of target.entries()) {
      const [row, k] = [Math.floor(i / 2), i % 2];
      const x = input.slice(3 * row, 3 * row + 3);
      const output = x.reduce(
        (sum, value, j) => sum + value * at(this.parameters, 3 * k + j),
        at(this.parameters, 6 + k),
      );
      loss += (output - wanted) ** 2 / target.length;
      const d = (2 * (output - wanted)) / target.length;
      for (const [j, value] of x.entries()) this.#add(3 * k + j, d * value);
      this.#add(6 + k, d);
    }
    return loss;
  }

  update(optimizer: LinearOptimizer, rate: number, maxNorm = Number.POSITIVE_INFINITY): void {
    this.#steps += 1;
    const norm = Math.hypot(...this.gradients);
    const scale = Math.min(1, maxNorm / (norm + 1e-6));
    for (const [i, raw] of this.gradients.entries()) {
      const gradient = raw * scale;
      const moments = at(this.#moments, i);
      moments[0] = 0.9 * moments[0] + 0.1 * gradient;
      moments[1] = 0.999 * moments[1] + 0.001 * gradient ** 2;
      const corrected = (rate * Math.sqrt(1 - 0.999 ** this.#steps)) / (1 - 0.9 ** this.#steps);
      const step =
        optimizer === "sgd" ? rate * gradient : (corrected * moments[0]) / (Math.sqrt(moments[1]) + 1e-6);
      this.parameters[i] = at(this.parameters, i) - step;
    }
  }

  #add(index: number, value: number): void {
    this.gradients[index] = at(this.gradients, index) + value;
  }
}
