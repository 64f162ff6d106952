import { describe, expect, test } from "vitest";
import { generateArtifacts, type Loss } from "../../artifacts/index.ts";
import {
  at,
  createBuilder,
  createModel,
  decodeModel,
  floats,
  Graph,
  int64s,
  type Model,
  type Tensor,
} from "../../graph-builder/index.ts";
import { normal, twoHeads } from "../support/artifact-models.ts";
import { numbersOf, runGraph } from "../support/run-graph.ts";

const rows = 4;

/** A model whose scores are its weight where the input is the identity: [4, ...shape]. */
function scorer(shape: readonly number[], scores: Tensor): Model {
  const g = createBuilder(new Graph("scorer"));
  const x = g.input("x", "float", ["batch", rows]);
  const product = g.MatMul(x, g.constant(scores, "w"));
  g.output(shape.length === 1 ? product : g.Reshape(product, g.constant(int64s([-1, ...shape]))), "scores");
  return createModel(g.graph);
}

const identity = floats(
  Array.from({ length: rows * rows }, (_, i) => (i % (rows + 1) === 0 ? 1 : 0)),
  [rows, rows],
);

/** The loss and the gradient of the scores, by the training model in standard operators. */
async function lossAndGradient(loss: Loss, shape: readonly number[], scores: Tensor, target: Tensor) {
  const { trainingModel } = generateArtifacts(scorer(shape, scores), { loss, target: "standard" });
  const { graph } = decodeModel(trainingModel);
  const isSoft = typeof loss === "object" && "softLabels" in loss;
  const input = target.elemType === "int64" || isSoft ? "labels" : "target";
  const results = await runGraph(graph, { x: identity, w: scores, [input]: target });
  return { loss: at(numbersOf(results, "loss"), 0), gradient: numbersOf(results, "w_grad") };
}

/** The derivative of a function of a list by central differences. */
function derivative(f: (values: readonly number[]) => number, values: readonly number[]): number[] {
  return values.map((value, i) => {
    const moved = (by: number) => f(values.with(i, value + by));
    return (moved(1e-5) - moved(-1e-5)) / 2e-5;
  });
}

async function expectLoss(
  loss: Loss,
  shape: readonly number[],
  target: Tensor,
  expected: (scores: readonly number[]) => number,
): Promise<void> {
  const size = shape.reduce((product, dim) => product * dim, 1);
  const scores = normal("scores", [rows, size], 1.5);
  const found = await lossAndGradient(loss, shape, scores, target);
  expect(found.loss).toBeCloseTo(expected(scores.numbers()), 5);
  for (const [i, value] of derivative(expected, scores.numbers()).entries()) {
    expect(found.gradient[i]).toBeCloseTo(value, 4);
  }
}

const wanted = normal("target", [rows, 3]);
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const errors = (scores: readonly number[]) => scores.map((score, i) => score - Number(wanted.data[i]));

describe("errors", () => {
  test("mse is the mean squared error", () =>
    expectLoss("mse", [3], wanted, (scores) => mean(errors(scores).map((error) => error ** 2))));

  test("l1 is the mean absolute error", () =>
    expectLoss("l1", [3], wanted, (scores) => mean(errors(scores).map(Math.abs))));

  test("the reduction sum adds all elements", () =>
    expectLoss({ type: "mse", reduction: "sum" }, [3], wanted, (scores) =>
      sum(errors(scores).map((error) => error ** 2)),
    ));
});

describe("bce-with-logits", () => {
  const chances = floats(
    Array.from({ length: 12 }, (_, i) => (i % 3) / 2),
    [rows, 3],
  );
  const logSigmoid = (x: number) => -Math.log1p(Math.exp(-x));
  const bce = (weights: readonly number[]) => (scores: readonly number[]) =>
    mean(
      scores.map((x, i) => {
        const t = Number(chances.data[i]);
        return -(at(weights, i % 3) * t * logSigmoid(x) + (1 - t) * logSigmoid(-x));
      }),
    );

  test("is -t log s(x) - (1 - t) log(1 - s(x))", () =>
    expectLoss("bce-with-logits", [3], chances, bce([1, 1, 1])));

  test("weighs positive targets", () =>
    expectLoss({ type: "bce-with-logits", positiveWeights: [2, 0.5, 1] }, [3], chances, bce([2, 0.5, 1])));

  test("stays finite for large logits, and its gradient at 0 is 1/2 - t", async () => {
    const scores = floats([200, -200, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [rows, 3]);
    const found = await lossAndGradient("bce-with-logits", [3], scores, chances);
    expect(found.loss).toBeCloseTo((200 + 100 + 10 * Math.log(2)) / 12, 4);
    expect(at(found.gradient, 0)).toBeCloseTo(1 / 12, 6);
    expect(at(found.gradient, 3)).toBeCloseTo(0.5 / 12, 6);
    expect(at(found.gradient, 5)).toBeCloseTo(-0.5 / 12, 6);
  });
});

interface CrossEntropyCase {
  readonly classes: number;
  readonly places: number;
  readonly labels: readonly number[];
  readonly weights?: readonly number[];
  readonly ignoreIndex?: number;
  readonly smoothing?: number;
}

/** torch.nn.CrossEntropyLoss over scores [rows, classes, places], as its documentation defines it. */
function crossEntropyOf({
  classes,
  places,
  labels,
  weights,
  ignoreIndex = -100,
  smoothing = 0,
}: CrossEntropyCase) {
  return (scores: readonly number[]) => {
    let [total, divisor] = [0, 0];
    for (const [i, label] of labels.entries()) {
      if (label === ignoreIndex) continue;
      const [row, place] = [Math.floor(i / places), i % places];
      const own = Array.from({ length: classes }, (_, c) => at(scores, (row * classes + c) * places + place));
      const logSum = Math.log(sum(own.map(Math.exp)));
      const weightOf = (c: number) => (weights ? at(weights, c) : 1);
      for (const [c, score] of own.entries()) {
        const share = (c === label ? 1 - smoothing : 0) + smoothing / classes;
        total += share * weightOf(c) * (logSum - score);
      }
      divisor += weightOf(label);
    }
    return divisor === 0 ? 0 : total / divisor;
  };
}

describe("cross-entropy", () => {
  const cases: readonly [string, CrossEntropyCase][] = [
    ["of labels", { classes: 3, places: 1, labels: [0, 2, 1, 2] }],
    ["ignores -100, as PyTorch does", { classes: 3, places: 1, labels: [0, -100, 1, 2] }],
    ["ignores another index", { classes: 3, places: 1, labels: [0, 1, 1, 2], ignoreIndex: 1 }],
    ["weighs classes", { classes: 3, places: 1, labels: [0, 2, 1, 2], weights: [1, 0.25, 3] }],
    ["smooths labels", { classes: 3, places: 1, labels: [0, 2, 1, 2], smoothing: 0.1 }],
    [
      "does all of it at once",
      { classes: 3, places: 1, labels: [0, 2, 1, 0], weights: [1, 0.25, 3], ignoreIndex: 2, smoothing: 0.2 },
    ],
    [
      "at every place of a picture",
      { classes: 3, places: 2, labels: [0, 2, 1, 1, 0, -100, 2, 0], weights: [1, 0.25, 3], smoothing: 0.1 },
    ],
  ];

  test.each(cases)("%s", async (_, each) => {
    const { classes, places, labels, weights, ignoreIndex, smoothing } = each;
    const spatial = places > 1 ? [places] : [];
    const loss = {
      type: "cross-entropy",
      classWeights: weights,
      ignoreIndex,
      labelSmoothing: smoothing,
    } as const;
    await expectLoss(loss, [classes, ...spatial], int64s(labels, [rows, ...spatial]), crossEntropyOf(each));
  });

  test.each([0, 0.1])(
    "of labels that are all ignored is 0 with the gradient 0, smoothed by %d",
    async (labelSmoothing) => {
      const labels = int64s(Array(rows).fill(-100), [rows]);
      const scores = normal("scores", [rows, 3]);
      const found = await lossAndGradient({ type: "cross-entropy", labelSmoothing }, [3], scores, labels);
      expect(found.loss).toBe(0);
      expect(found.gradient.map(Math.abs)).toEqual(Array(3 * rows).fill(0));
    },
  );
});

test("a function that reads one of two heads trains that one alone, and a loss that reads nothing is refused", () => {
  const ofScores: Loss = (g, { scores }) => g.ReduceMean(scores ?? g.float(0), { keepdims: 0 });
  expect(() => generateArtifacts(twoHeads(), { loss: ofScores })).toThrow(
    "box.weight cannot be trained: the loss does not depend on it.",
  );
  const { manifest } = generateArtifacts(twoHeads(), { loss: ofScores, lossInput: "scores" });
  expect(manifest.trainable).toEqual(["trunk.weight", "scores.weight"]);
  expect(() => generateArtifacts(twoHeads(), { loss: (g) => g.float(1) })).toThrow(
    "trunk.weight, scores.weight, box.weight cannot be trained: the loss does not depend on them.",
  );
});

describe("other losses", () => {
  test("a function of one's own may take inputs of its own", async () => {
    const loss: Loss = (g, { scores }) => {
      if (!scores) throw new Error("the model has scores");
      const margin = g.input("target", "float", ["batch", 3]);
      return g.ReduceMean(g.Relu(g.Sub(margin, scores)), { keepdims: 0 });
    };
    await expectLoss(loss, [3], wanted, (scores) => mean(errors(scores).map((error) => Math.max(0, -error))));
  });

  test("a weighted sum adds them, and one target may have another name", async () => {
    const loss: Loss = [{ loss: "mse" }, { loss: { type: "l1", target: "other" }, weight: 0.5 }];
    const scores = normal("scores", [rows, 3], 1.5);
    const { trainingModel } = generateArtifacts(scorer([3], scores), { loss, target: "standard" });
    const feeds = { x: identity, w: scores, target: wanted, other: wanted };
    const found = numbersOf(await runGraph(decodeModel(trainingModel).graph, feeds), "loss");
    const own = errors(scores.numbers());
    expect(at(found, 0)).toBeCloseTo(mean(own.map((error) => error ** 2)) + 0.5 * mean(own.map(Math.abs)), 5);
  });

  test("an output that is the loss already is renamed to loss", () => {
    const g = createBuilder(new Graph("own"));
    const product = g.MatMul(g.input("x", "float", ["batch", 2]), g.constant(normal("w", [2, 1]), "w"));
    g.output(g.ReduceMean(product, { keepdims: 0 }), "cost");
    const { trainingModel, manifest } = generateArtifacts(g.graph, { loss: { output: "cost" } });
    expect(decodeModel(trainingModel).graph.outputs.map(({ name }) => name)[0]).toBe("loss");
    expect(manifest.loss).toEqual({ output: "cost" });
  });

  test.each<[string, Loss, string]>([
    [
      "a loss of several numbers",
      { output: "scores" },
      "The loss does not fit the output scores: it is not one number, and a loss is a float scalar.",
    ],
    [
      "weights of other classes",
      { type: "cross-entropy", classWeights: [1, 2] },
      "classWeights has 2 numbers, and there are 3 for the classes.",
    ],
    [
      "a smoothing above 1",
      { type: "cross-entropy", labelSmoothing: 2 },
      "labelSmoothing must be a number from 0 to 1, not 2.",
    ],
    [
      "a negative weight",
      { type: "cross-entropy", classWeights: [1, -2, 3] },
      "classWeights must be a list of numbers from 0, not [1, -2, 3].",
    ],
    [
      "weights that are all 0",
      { type: "cross-entropy", classWeights: [0, 0, 0] },
      "classWeights are all 0, so no label counts: give one above 0.",
    ],
    ["no loss", [], "A weighted sum needs at least one loss."],
  ])("%s is refused", (_, loss, sentence) => {
    expect(() => generateArtifacts(scorer([3], normal("scores", [rows, 3])), { loss })).toThrow(sentence);
  });
});

describe("a loss that reads a value inside the model", () => {
  /** relu(x w), of which the file returns the sum of each row alone. */
  function withInner(): Model {
    const g = createBuilder(new Graph("inner"));
    const hidden = g.Relu(
      g.MatMul(g.input("x", "float", ["batch", 2]), g.constant(floats([1, -1, 2, 0.5], [2, 2]), "w")),
    );
    hidden.name = "hidden";
    g.output(g.ReduceSum(hidden, g.int64([1]), { keepdims: 0 }), "y");
    return createModel(g.graph);
  }
  const feeds = {
    x: floats([1, 2, 3, 4], [2, 2]),
    w: floats([1, -1, 2, 0.5], [2, 2]),
    target: floats([1, 1, 1, 1], [2, 2]),
    target_1: floats([2, 3]),
  };

  test("has the gradient of that value, and the eval model returns it", async () => {
    const { trainingModel, evalModel } = generateArtifacts(withInner(), {
      loss: "mse",
      lossInput: "hidden",
      target: "standard",
    });
    // hidden = [[5, 0], [11, 0]], the error [[4, -1], [10, -1]], and relu'(0) = 0 in the second column
    const results = await runGraph(decodeModel(trainingModel).graph, feeds);
    expect(at(numbersOf(results, "loss"), 0)).toBeCloseTo((16 + 1 + 100 + 1) / 4, 5);
    expect(numbersOf(results, "w_grad")).toEqual([(1 * 4 + 3 * 10) / 2, 0, (2 * 4 + 4 * 10) / 2, 0]);
    const evaluated = await runGraph(decodeModel(evalModel).graph, feeds);
    expect(numbersOf(evaluated, "hidden")).toEqual([5, 0, 11, 0]);
  });

  test("may be a term beside a loss of the only output", async () => {
    const loss: Loss = [
      { loss: "mse" as const, weight: 2 },
      { loss: { type: "l1", input: "hidden", target: "wanted" } },
    ];
    const { trainingModel } = generateArtifacts(withInner(), { loss, target: "standard" });
    const given = { ...feeds, target: feeds.target_1, wanted: feeds.target };
    const results = await runGraph(decodeModel(trainingModel).graph, given);
    expect(at(numbersOf(results, "loss"), 0)).toBeCloseTo(2 * ((9 + 64) / 2) + (4 + 1 + 10 + 1) / 4, 5);
  });

  test("is refused with the nearest name where there is no such value", () => {
    expect(() => generateArtifacts(withInner(), { loss: "mse", lossInput: "hiden" })).toThrow(
      "The model has no output hiden. Did you mean hidden?",
    );
  });
});

describe("cross-entropy with soft labels", () => {
  const shares = floats([0.7, 0.3, 0, 0, 1, 0, 0.25, 0.25, 0.5, 0, 0.9, 0.1], [rows, 3]);
  /** torch.nn.CrossEntropyLoss of probabilities, as its documentation defines it. */
  const soft =
    (smoothing: number, weights: readonly number[] = [1, 1, 1]) =>
    (scores: readonly number[]) =>
      mean(
        Array.from({ length: rows }, (_, row) => {
          const own = scores.slice(3 * row, 3 * row + 3);
          const total = Math.log(sum(own.map(Math.exp)));
          return sum(
            own.map((score, c) => {
              const share = (1 - smoothing) * Number(shares.data[3 * row + c]) + smoothing / 3;
              return -at(weights, c) * share * (score - total);
            }),
          );
        }),
      );

  test("is the mean of -sum share log softmax", () =>
    expectLoss({ type: "cross-entropy", softLabels: true }, [3], shares, soft(0)));

  test("smooths the shares and weighs the classes", () =>
    expectLoss(
      { type: "cross-entropy", softLabels: true, labelSmoothing: 0.2, classWeights: [2, 0.5, 1] },
      [3],
      shares,
      soft(0.2, [2, 0.5, 1]),
    ));

  test("of whole labels is the cross-entropy of their classes", async () => {
    const scores = normal("scores", [rows, 3], 1.5);
    const whole = floats([0, 1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 0], [rows, 3]);
    const found = await lossAndGradient({ type: "cross-entropy", softLabels: true }, [3], scores, whole);
    const hard = await lossAndGradient("cross-entropy", [3], scores, int64s([1, 0, 2, 1]));
    expect(found.loss).toBeCloseTo(hard.loss, 6);
    for (const [i, value] of hard.gradient.entries()) expect(found.gradient[i]).toBeCloseTo(value, 6);
  });

  test("has no ignoreIndex", () => {
    const loss = { type: "cross-entropy", softLabels: true, ignoreIndex: 1 } as const;
    expect(() => generateArtifacts(scorer([3], normal("w", [rows, 3])), { loss })).toThrow(
      "Soft labels have no ignoreIndex: leave it out.",
    );
  });
});
