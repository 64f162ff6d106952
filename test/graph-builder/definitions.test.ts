import { describe, expect, test } from "vitest";
import { expansions } from "../../graph-builder/expansions/index.ts";
import {
  appendGradients,
  createBuilder,
  createModel,
  encodeModel,
  Graph,
  type Lowering,
  lowerGraph,
  loweringOf,
  portable,
  type Tensor,
} from "../../graph-builder/index.ts";
import { forwardOf } from "../support/check-gradient.ts";
import { type Definition, definitions } from "../support/definitions.ts";
import { gradientCases } from "../support/gradient-cases.ts";
import { normal, positive } from "../support/random-tensor.ts";
import { Grid } from "../support/reference.ts";
import { numbersOf, runGraph } from "../support/run-graph.ts";

const tables: Readonly<Record<string, Lowering>> = {
  portable: portable,
  cpu: loweringOf("cpu"),
};

const titled = definitions.map((definition) => ({
  ...definition,
  label: [definition.opType, definition.title].filter(Boolean).join(", "),
}));

function graphOf({ inputs, build }: Definition): Graph {
  const g = createBuilder(new Graph("definition"));
  const values = new Map(
    Object.entries(inputs).map(([name, { shape, tensor }]) => [name, g.input(name, tensor.elemType, shape)]),
  );
  const outputs = build(g, (name) => values.get(name) ?? g.float(0));
  for (const [i, output] of outputs.entries()) g.output(output, `y${i}`);
  return g.graph;
}

function feedsOf({ inputs }: Definition): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(inputs).map(([name, { tensor }]) => [name, tensor]));
}

function expectClose(actual: readonly number[], expected: readonly number[], what: string): void {
  expect(actual, `${what}: number of elements`).toHaveLength(expected.length);
  const far = expected.flatMap((value, i) => {
    const found = actual[i] ?? Number.NaN;
    return Math.abs(found - value) <= 2e-5 * Math.max(1, Math.abs(value))
      ? []
      : [`[${i}] ${found}, not ${value}`];
  });
  expect(far, what).toEqual([]);
}

describe.each(Object.keys(tables))("the %s lowering follows the operator's definition", (name) => {
  test.each(titled)("$label", async ({ label, ...definition }) => {
    const results = await runGraph(graphOf(definition), feedsOf(definition), tables[name]);
    const expected = definition.expected((input) => {
      const given = definition.inputs[input];
      if (!given) throw new Error(`no input ${input}`);
      return Grid.of(given.tensor);
    });
    for (const [i, list] of expected.entries())
      expectClose(numbersOf(results, `y${i}`), list, `${label}, output ${i}`);
  });
});

describe("lowerings", () => {
  test("every operator of the portable table is compared with its definition", () => {
    // test/graph-builder/onnx/layers.test.ts compares the expansions with ONNX Runtime's own kernels
    const lowered = Object.keys(portable).filter((opType) => !Object.hasOwn(expansions, opType));
    const defined = new Set(definitions.map(({ opType }): string => opType));
    expect(lowered.filter((opType) => !defined.has(opType))).toEqual([]);
    expect([...defined].filter((opType) => !Object.hasOwn(portable, opType))).toEqual([]);
  });

  test.each(definitions.filter(({ opType }) => opType === "SoftmaxCrossEntropyLoss"))(
    "SoftmaxCrossEntropyLoss, $title, equals ONNX Runtime's own",
    async (definition) => {
      const own = await runGraph(graphOf(definition), feedsOf(definition), {});
      const lowered = await runGraph(graphOf(definition), feedsOf(definition));
      for (const output of ["y0", "y1"])
        expectClose(numbersOf(lowered, output), numbersOf(own, output), output);
    },
  );

  test("BatchNormInternal equals ONNX Runtime's BatchNormalization in training mode", async () => {
    const attributes = { epsilon: 1e-3, momentum: 0.8, training_mode: 1 };
    const shared = {
      X: normal(["batch", 3, 4, 4]),
      scale: normal([3]),
      B: normal([3]),
      mean: normal([3]),
      variance: positive([3]),
    };
    const outputsOf = async (opType: "BatchNormInternal" | "BatchNormalization") => {
      const definition: Definition = {
        opType,
        title: "",
        inputs: shared,
        build: (g, I) =>
          g[opType](I("X"), I("scale"), I("B"), I("mean"), I("variance"), attributes).slice(0, 3),
        expected: () => [],
      };
      return runGraph(graphOf(definition), feedsOf(definition));
    };
    const [ours, theirs] = [await outputsOf("BatchNormInternal"), await outputsOf("BatchNormalization")];
    for (const output of ["y0", "y1", "y2"])
      expectClose(numbersOf(ours, output), numbersOf(theirs, output), output);
  });

  test.each(Object.entries(tables))("%s leaves ai.onnx operators only", (_, lowering) => {
    const foreign = gradientCases.flatMap(({ opType, title, test: gradientCase }) => {
      const { g, values, outputs } = forwardOf(gradientCase);
      const targets =
        gradientCase.targets ?? Object.keys(values).filter((n) => values[n]?.elemType === "float");
      const losses = outputs.map((output) => g.ReduceSum(output, null, { keepdims: 0 }));
      const wanted = targets.flatMap((target) => values[target] ?? []);
      for (const [i, d] of appendGradients(g, g.Sum(...losses), wanted).entries()) g.output(d, `d${i}`);
      return lowerGraph(g.graph, lowering)
        .nodes.filter((node) => node.operator.domain !== "" || node.opType === "MaxPoolGrad")
        .map((node) => `${opType} ${title}: ${node.opType}`);
    });
    expect(foreign).toEqual([]);
  });

  test.each(Object.entries(tables))("%s gives the same bytes twice", (_, lowering) => {
    const bytes = () =>
      definitions.map((definition) => encodeModel(createModel(lowerGraph(graphOf(definition), lowering))));
    expect(bytes()).toEqual(bytes());
  });

  test("lowering leaves the graph as it was", () => {
    const [first] = definitions;
    if (!first) throw new Error("no definitions");
    const graph = graphOf(first);
    const before = encodeModel(createModel(graph));
    lowerGraph(graph, portable);
    expect(encodeModel(createModel(graph))).toEqual(before);
  });

  test("only the outputs that something reads are computed", () => {
    const [first] = definitions;
    if (!first) throw new Error("no definitions");
    const graph = graphOf(first);
    graph.outputs = graph.outputs.slice(0, 1);
    const operations = lowerGraph(graph, portable).nodes.map((node) => node.opType);
    expect(operations).toEqual(["ConvTranspose"]);
  });

  test("an empty slice has the gradient zero, and its file opens", async () => {
    const g = createBuilder(new Graph("empty"));
    const X = g.input("X", "float", [2, 5]);
    const none = g.Slice(X, g.int64([3]), g.int64([3]), g.int64([1]), g.int64([2]));
    const [dX] = appendGradients(g, g.ReduceSum(none, null, { keepdims: 0 }), [X]);
    if (dX) g.output(dX, "dX");
    const results = await runGraph(g.graph, { X: normal([2, 5]).tensor });
    expect(numbersOf(results, "dX")).toEqual(Array(10).fill(0));
  });
});
