import {
  type Builder,
  createBuilder,
  createModel,
  Graph,
  type Model,
  RandomStream,
  Tensor,
  type Value,
} from "../../graph-builder/index.ts";
import { tensorOf } from "../../graph-builder/tensor.ts";

/** A float tensor of normal numbers, decided by its name alone. */
export function normal(name: string, dims: readonly number[], deviation = 0.5): Tensor {
  const data = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
  new RandomStream(3, name).fillNormal(data);
  return new Tensor(
    "float",
    dims,
    data.map((value) => value * deviation),
  );
}

/** A constant of normal numbers under a name. */
export function weight(g: Builder, name: string, dims: readonly number[]): Value {
  return g.constant(normal(name, dims), name);
}

function modelOf(g: Builder): Model {
  return createModel(g.graph, { docString: "a test's model", metadataProps: { author: "a test" } });
}

/** tanh(x w1' + b1) w2' + b2 from float [batch, 3] `x` to float [batch, 2] `y`. */
export function mlp(): Model {
  const g = createBuilder(new Graph("mlp"));
  const x = g.input("x", "float", ["batch", 3]);
  const hidden = g.Tanh(
    g.Gemm(x, weight(g, "hidden.weight", [4, 3]), weight(g, "hidden.bias", [4]), { transB: 1 }),
  );
  g.output(g.Gemm(hidden, weight(g, "out.weight", [2, 4]), weight(g, "out.bias", [2]), { transB: 1 }), "y");
  return modelOf(g);
}

/**
 * Two convolutions with batch normalisation, then a classifier of 3 classes: [batch, 2, 6, 6] to `logits`.
 */
export function smallCnn(): Model {
  const g = createBuilder(new Graph("cnn"));
  const layer = (name: string, X: Value, filters: number) => {
    const W = weight(g, `${name}.conv.weight`, [filters, Number(X.shape[1]), 3, 3]);
    const ones = new Tensor("float", [filters], new Float32Array(filters).fill(1));
    const [Y] = g.BatchNormalization(
      g.Conv(X, W, { pads: [1, 1, 1, 1] }),
      g.constant(ones, `${name}.bn.weight`),
      weight(g, `${name}.bn.bias`, [filters]),
      weight(g, `${name}.bn.running_mean`, [filters]),
      g.constant(ones, `${name}.bn.running_var`),
    );
    return g.Relu(Y);
  };
  const images = g.input("images", "float", ["batch", 2, 6, 6]);
  const features = g.Flatten(g.GlobalAveragePool(layer("second", layer("first", images, 4), 5)));
  g.output(
    g.Gemm(features, weight(g, "fc.weight", [3, 5]), weight(g, "fc.bias", [3]), { transB: 1 }),
    "logits",
  );
  return modelOf(g);
}

/** One hidden layer with two heads: `scores` [batch, 3] and `box` [batch, 4]. */
export function twoHeads(): Model {
  const g = createBuilder(new Graph("heads"));
  const x = g.input("x", "float", ["batch", 3]);
  const hidden = g.Tanh(g.MatMul(x, weight(g, "trunk.weight", [3, 5])));
  g.output(g.Gemm(hidden, weight(g, "scores.weight", [5, 3])), "scores");
  g.output(g.Gemm(hidden, weight(g, "box.weight", [5, 4])), "box");
  return modelOf(g);
}

/** From float [batch, 4] `x` to `dropped` [batch, 32], of which half is dropped, to float [batch, 2] `y`. */
export function droppedMlp(): Model {
  const g = createBuilder(new Graph("dropped"));
  const x = g.Dropout(g.input("x", "float", ["batch", 4]), g.float(0.25))[0];
  const hidden = g.Sigmoid(g.Gemm(x, weight(g, "hidden.weight", [32, 4]), null, { transB: 1 }));
  const [dropped] = g.Dropout(hidden);
  g.output(dropped, "dropped");
  g.output(g.Gemm(dropped, weight(g, "out.weight", [2, 32]), null, { transB: 1 }), "y");
  return modelOf(g);
}

/** tanh(x w1 + b1) w2 from `x` [batch, 3] to `y` [batch, 2], all in a type of 16 bits. */
export function halfMlp(type: "float16" | "bfloat16"): Model {
  const g = createBuilder(new Graph("half"));
  const half = (name: string, dims: readonly number[]) =>
    g.constant(tensorOf(type, normal(name, dims).numbers(), dims), name);
  const product = g.MatMul(g.input("x", type, ["batch", 3]), half("hidden.weight", [3, 8]));
  const hidden = g.Tanh(g.Add(product, half("hidden.bias", [8])));
  g.output(g.MatMul(hidden, half("out.weight", [8, 2])), "y");
  return modelOf(g);
}
