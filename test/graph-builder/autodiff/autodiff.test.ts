import { describe, expect, test } from "vitest";
import {
  appendGradients,
  type Builder,
  checkGraph,
  createBuilder,
  elementCount,
  floats,
  Graph,
  gradientRules,
  lowerGraph,
  Node,
  type OpType,
  portable,
  printGraph,
  shapeOf,
  type Value,
} from "../../../graph-builder/index.ts";
import {
  appendNetwork,
  type NetworkSettings,
  shakeDropForward,
  shakeForward,
} from "../../../shakenet/index.ts";
import { type Case, gradientErrors } from "../../support/check-gradient.ts";
import { integers, normal, positive, uniform } from "../../support/random-tensor.ts";
import { numbersOf, runGraph } from "../../support/run-graph.ts";

function builder() {
  return createBuilder(new Graph("test"));
}

/** Scale, bias, mean and variance of a normalisation of two channels. */
function vectorsOf(g: Builder): [scale: Value, B: Value, mean: Value, variance: Value] {
  const vector = (name: string) => g.input(name, "float", [2]);
  return [vector("scale"), vector("B"), vector("mean"), vector("variance")];
}

function opTypes(graph: Graph): string[] {
  return graph.nodes.map((node) => node.opType);
}

describe("small networks", () => {
  const nets: Record<string, Case> = {
    "a perceptron": {
      inputs: {
        X: normal(["batch", 4]),
        W1: normal([4, 6]),
        b1: normal([6]),
        W2: normal([3, 6]),
        b2: normal([3]),
        labels: integers([2, 0, 1], ["batch"]),
      },
      build: (g, { X, W1, b1, W2, b2, labels }: Record<string, Value>) => {
        if (!X || !W1 || !b1 || !W2 || !b2 || !labels) throw new Error("inputs are missing");
        const hidden = g.Tanh(g.Add(g.MatMul(X, W1), b1));
        return g.SoftmaxCrossEntropyLoss(g.Gemm(hidden, W2, b2, { transB: 1 }), labels)[0];
      },
    },
    "a convolution with normalisation and pooling": {
      inputs: {
        X: normal(["batch", 2, 6, 6]),
        W: normal([4, 2, 3, 3]),
        scale: positive([4]),
        B: normal([4]),
        V: normal([3, 4]),
        c: normal([3]),
      },
      build: (g, { X, W, scale, B, V, c }: Record<string, Value>) => {
        if (!X || !W || !scale || !B || !V || !c) throw new Error("inputs are missing");
        const [mean, variance] = [g.float([0, 0, 0, 0]), g.float([1, 1, 1, 1])];
        const conv = g.Conv(X, W, { pads: [1, 1, 1, 1] });
        const normalised = g.BatchNormInternal(conv, scale, B, mean, variance, { training_mode: 1 })[0];
        const pooled = g.AveragePool(g.Sigmoid(normalised), { kernel_shape: [2, 2], strides: [2, 2] });
        return g.Gemm(g.Flatten(g.GlobalAveragePool(pooled)), V, c, { transB: 1 });
      },
    },
    "ShakeNet 8 2x2d, all parameters at once": networkCase({ width: 2 }),
    "ShakeNet 8 2x4d, all parameters at once": networkCase({ width: 4 }),
    "a pre-activation ResNet with ShakeDrop": networkCase({ network: "preact-resnet", width: 2 }),
    "a PyramidNet with ShakeDrop": networkCase({ network: "pyramidnet", width: 2, alpha: 5 }),
  };
  test.each(Object.entries(nets))("%s", async (label, net) => {
    expect(await gradientErrors(label, net)).toEqual([]);
  });
});

/**
 * A whole network whose parameters are slices of one vector, so that one projection checks them together.
 * Normalised values lie 1.5 +- 0.2 above zero in even channels and as far below in odd ones, where no step
 * crosses a kink of ReLU.
 */
function networkCase(network: Pick<NetworkSettings, "network" | "width" | "alpha">): Case {
  const settings = { ...network, depth: 8, classes: 3, mean: [120, 120, 120], std: [60, 60, 60] };
  const theta: number[] = [];
  const images = uniform(["batch", 3, 32, 32]);
  const measure = builder();
  appendNetwork(measure, measure.input("images", "float", images.shape), settings, {
    isTraining: true,
    mix: (branch1) => branch1,
    drop: (branch) => branch,
    tensor: ({ name, shape, kind }) => {
      if (kind === "parameter") theta.push(...startOf(name, shape));
      return measure.input(name, "float", shape);
    },
  });
  return {
    inputs: {
      theta: { shape: [theta.length], tensor: floats(theta) },
      alpha: uniform([3, "batch"]),
      images,
    },
    targets: ["theta", "alpha"],
    step: 2 ** -10,
    build: (g, { theta, alpha, images }: Record<string, Value>) => {
      if (!theta || !alpha || !images) throw new Error("inputs are missing");
      let start = 0;
      return appendNetwork(g, g.Mul(images, g.float(255)), settings, {
        isTraining: true,
        mix: (branch1, branch2, block) =>
          g.call(shakeForward, [branch1, branch2, g.Gather(alpha, g.int64(block))]),
        drop: (branch, block) => {
          const drawn = g.Gather(alpha, g.int64(block));
          // the second block survives, for every image
          const b = g.Expand(g.float(block === 1 ? 1 : 0), g.Shape(drawn));
          return g.call(shakeDropForward, [branch, b, drawn]);
        },
        tensor: ({ name, shape, kind }) => {
          const size = elementCount(shape);
          if (kind === "statistic") return g.float(Array(size).fill(name.endsWith("var") ? 1 : 0));
          const part = g.Slice(theta, g.int64([start]), g.int64([start + size]));
          start += size;
          return g.Reshape(part, g.int64(shape));
        },
      });
    },
  };
}

function startOf(name: string, shape: readonly number[]): number[] {
  const random = normal(shape).tensor.numbers();
  if (/bn\d?\.bias$/.test(name)) return random.map((_, channel) => (channel % 2 === 0 ? 1.5 : -1.5));
  return /bn\d?\.weight$/.test(name) ? random.map(() => 0.2) : random;
}

describe("the backward pass", () => {
  test("a value used several times gets the sum of its gradients, once", async () => {
    const g = builder();
    const x = g.input("x", "float", [2]);
    const loss = g.ReduceSum(g.Sum(g.Mul(x, g.float(2)), g.Mul(x, x), x), null, { keepdims: 0 });
    const [dx] = appendGradients(g, loss, [x]);
    if (dx) g.output(dx, "x_grad");
    expect(dx?.producer).toMatchObject({ opType: "Sum", name: "x_grad/Sum_0" });
    const results = await runGraph(g.graph, { x: normal([2]).tensor });
    expect(numbersOf(results, "x_grad")).toHaveLength(2);
    const exact = await gradientErrors("three uses", {
      inputs: { x: normal([5]) },
      build: (h, { x }: Record<string, Value>) => {
        if (!x) throw new Error("no x");
        return h.Sum(h.Mul(x, h.float(2)), h.Mul(x, x), x);
      },
    });
    expect(exact).toEqual([]);
  });

  test("only nodes between the targets and the loss get backward nodes", () => {
    const g = builder();
    const [x, w] = [g.input("x", "float", [2, 3]), g.input("w", "float", [3, 2])];
    const data = g.scope("data", () => g.Exp(g.Neg(x)));
    g.scope("unused", () => g.Tanh(w));
    const loss = g.scope("used", () => g.ReduceSum(g.MatMul(data, w), null, { keepdims: 0 }));
    const [dW] = appendGradients(g, loss, [w]);
    const added = g.graph.nodes.slice(5).map((node) => node.name);
    expect(added.filter((name) => /data|unused/.test(name))).toEqual([]);
    expect(opTypes(g.graph).filter((op) => op === "MatMul")).toHaveLength(2);
    expect(dW?.name).toBe("w_grad");
  });

  test("a target that the loss does not read has the gradient zero", async () => {
    const g = builder();
    const [x, y] = [g.input("x", "float", ["batch", 2]), g.input("y", "float", ["batch", 3])];
    const [, dy] = appendGradients(g, g.ReduceSum(g.Exp(x), null, { keepdims: 0 }), [x, y]);
    if (dy) g.output(dy, "dy");
    expect(dy?.shape).toEqual(shapeOf(["batch", 3]));
    const results = await runGraph(g.graph, {
      x: normal(["batch", 2]).tensor,
      y: normal(["batch", 3]).tensor,
    });
    expect(numbersOf(results, "dy")).toEqual(Array(9).fill(0));
  });

  test("a loss that is no scalar is summed, and may itself be a target", async () => {
    const g = builder();
    const x = g.input("x", "float", [3]);
    const loss = g.Mul(x, x);
    const [dLoss, dx] = appendGradients(g, loss, [loss, x]);
    if (dLoss && dx) for (const [i, value] of [dLoss, dx].entries()) g.output(value, `d${i}`);
    const X = normal([3]).tensor;
    const results = await runGraph(g.graph, { x: X });
    expect(numbersOf(results, "d0")).toEqual([1, 1, 1]);
    expect(numbersOf(results, "d1")).toEqual(X.numbers().map((v) => 2 * v));
  });

  test("a second backward pass on the same graph does not disturb the first", () => {
    const g = builder();
    const [x, y] = [g.input("x", "float", [3]), g.input("y", "float", [3])];
    appendGradients(g, g.ReduceSum(g.Exp(x), null, { keepdims: 0 }), [x]);
    appendGradients(createBuilder(g.graph), g.ReduceSum(g.Exp(y), null, { keepdims: 0 }), [y]);
    expect(() => checkGraph(g.graph)).not.toThrow();
  });

  test("the graph stays valid, before and after the lowering", () => {
    const g = builder();
    const X = g.input("X", "float", ["batch", 2, 5, 5]);
    const W = g.input("W", "float", [3, 2, 3, 3]);
    const loss = g.ReduceSum(g.Relu(g.Conv(X, W, { strides: [2, 2] })), null, { keepdims: 0 });
    for (const [i, gradient] of appendGradients(g, loss, [X, W]).entries()) g.output(gradient, `d${i}`);
    checkGraph(g.graph);
    checkGraph(lowerGraph(g.graph, portable));
    expect(printGraph(g.graph)).toContain("com.microsoft.ConvGrad");
  });
});

describe("what has no gradient is refused with the node's path", () => {
  const none = (Object.keys(gradientRules) as OpType[]).filter((op) => "none" in Object(gradientRules[op]));

  test.each(none)("%s", (opType) => {
    const g = builder();
    const x = g.input("x", "float", []);
    // the builder makes no node whose inputs its operator refuses, so the types are set aside here
    const node = new Node(opType, "stage1/odd_0", [x], {} as never, [x.type]) as unknown as Node;
    g.graph.nodes.push(node);
    expect(() => appendGradients(g, node.output(0), [x])).toThrow(
      new RegExp(`^${opType} at stage1/odd_0 has no gradient: .+`),
    );
  });

  test("an output whose gradient the rule does not read", () => {
    const g = builder();
    const [scale, B, mean, variance] = vectorsOf(g);
    const X = g.input("X", "float", [3, 2]);
    const [Y, runningMean] = g.BatchNormInternal(X, scale, B, mean, variance);
    expect(() => appendGradients(g, g.Add(Y, runningMean), [X])).toThrow(
      "the gradient of output 1 of BatchNormInternal at BatchNormInternal_0 is not known",
    );
  });

  test("an input whose gradient the rule does not give", () => {
    const g = builder();
    const [scale, B, mean, variance] = vectorsOf(g);
    const [Y] = g.BatchNormInternal(g.input("X", "float", [3, 2]), scale, B, mean, variance);
    expect(() => appendGradients(g, Y, [mean])).toThrow(
      "the gradient of input 3 of BatchNormInternal at BatchNormInternal_0 is not known",
    );
  });
});
