import { describe, expect, test } from "vitest";
import {
  type Builder,
  checkGraph,
  costOf,
  createBuilder,
  createModel,
  defineFunction,
  encodeModel,
  Graph,
  GraphError,
  inlineFunctions,
  lowerGraph,
  loweringOf,
  printGraph,
  shapeOf,
  simplifyForInference,
  tensorType,
  toDot,
  type Value,
} from "../../graph-builder/index.ts";
import { anyShape, mix, roundThrough, rows } from "../support/example-functions.ts";
import { normal } from "../support/random-tensor.ts";
import { numbersOf, runGraph } from "../support/run-graph.ts";

function builder() {
  return createBuilder(new Graph("test"));
}

function mixed() {
  const g = builder();
  const [a, b] = [g.input("a", "float", ["batch", 3]), g.input("b", "float", ["batch", 3])];
  const alpha = g.input("alpha", "float", ["batch"]);
  const [y] = g.scope("block", () => g.call(mix, [a, b, alpha]));
  return { g, a, y: g.output(y, "y") };
}

const mixFeeds = {
  a: normal(["batch", 3]).tensor,
  b: normal(["batch", 3]).tensor,
  alpha: normal(["batch"]).tensor,
};

describe("a definition", () => {
  test("is refused where its body makes another type than it declares", () => {
    const wrong = () =>
      defineFunction({
        domain: "com.example",
        name: "Sum",
        inputs: [["x", rows]],
        outputs: [["y", rows]],
        body: (g, [x]) => [g.ReduceSum(x, g.int64([1]))],
      });
    expect(wrong).toThrow(GraphError);
    expect(wrong).toThrow(
      "function com.example.Sum: its body makes y as float[rows, 1], and it is declared as float[rows, size]",
    );
  });

  test("is refused where its body reads what is not its own", () => {
    const stranger = builder().input("stranger", "float", [2]);
    const captures = () =>
      defineFunction({
        domain: "com.example",
        name: "Captures",
        inputs: [["x", tensorType("float", [2])]],
        outputs: [["y", tensorType("float", [2])]],
        body: (g, [x]) => [g.Add(x, stranger)],
      });
    expect(captures).toThrow(
      "function com.example.Captures: Add at Add_0: input 1 (stranger) is not made before it is read",
    );
  });

  test("may return an input as it is, and one value twice", async () => {
    const pair = defineFunction({
      domain: "com.example",
      name: "Pair",
      inputs: [["x", anyShape]],
      outputs: [
        ["same", anyShape],
        ["negative", anyShape],
        ["again", anyShape],
      ],
      body: (g, [x]) => {
        const negative = g.Neg(x);
        return [x, negative, negative];
      },
    });
    const g = builder();
    for (const [i, y] of g.call(pair, [g.input("x", "float", [2])]).entries()) g.output(y, `y${i}`);
    const results = await runGraph(g.graph, { x: normal([2]).tensor });
    expect(numbersOf(results, "y1")).toEqual(numbersOf(results, "y0").map((v) => -v));
    expect(numbersOf(results, "y2")).toEqual(numbersOf(results, "y1"));
  });
});

describe("a call", () => {
  test("has the types that the body makes of its inputs, of any rank where the function says so", () => {
    const g = builder();
    const call = (shape: readonly (number | string)[]) =>
      g.call(roundThrough, [g.input(`x${shape.length}`, "float", shape)]).shape;
    expect(call(["batch", 2, 3])).toEqual(shapeOf(["batch", 2, 3]));
    expect(call([])).toEqual([]);
    const { y } = mixed();
    expect(y.shape).toEqual(shapeOf(["batch", 3]));
  });

  test("is one node, which the checker, the printer and the drawing know by its name", () => {
    const { g } = mixed();
    checkGraph(g.graph);
    expect(g.graph.nodes).toMatchObject([
      { opType: "com.example.Mix", name: "block/Mix_0", definition: mix },
    ]);
    expect(toDot(g.graph)).toContain('"block/Mix_0" [label="Mix"');
    expect(printGraph(g.graph)).toMatchInlineSnapshot(`
      "test (float[batch, 3] a, float[batch, 3] b, float[batch] alpha) => (float[batch, 3] y)
      {
        y, "block.Mix_0.weight" = com.example.Mix (a, b, alpha)
      }"
    `);
  });

  test.each<[string, (g: Builder, a: Value) => unknown, string]>([
    [
      "another rank",
      (g, a) => g.call(mix, [g.input("v", "float", [3]), a, g.input("w", "float", ["batch"])]),
      "com.example.Mix at Mix_0: input a must be float[rows, size], not float[3] (inputs: float[3], float[4, 3], float[batch])",
    ],
    [
      "two sizes for one symbol",
      (g, a) => g.call(mix, [a, g.input("b", "float", [4, 5]), g.input("w", "float", [4])]),
      "input b must be float[rows, size] where rows is 4 and size is 3, not float[4, 5]",
    ],
    [
      "another element type",
      (g, a) => g.call(mix, [a, a, g.input("w", "int64", [4])]),
      "input alpha must be float[rows] where rows is 4 and size is 3, not int64[4]",
    ],
    [
      "an input that is left out",
      (g, a) => g.callNode(mix, [a, a]),
      "com.example.Mix at Mix_0: input alpha is missing",
    ],
  ])("is refused with %s", (_, build, message) => {
    const g = builder();
    expect(() => build(g, g.input("a", "float", [4, 3]))).toThrow(message);
  });

  test("of two functions with one name is refused in one graph", () => {
    const { g, a } = mixed();
    g.output(g.call({ ...mix }, [a, a, g.float([1])])[0], "z");
    expect(() => checkGraph(g.graph)).toThrow("graph test calls two functions named com.example.Mix");
    expect(() => encodeModel(createModel(g.graph))).toThrow("two functions named com.example.Mix");
  });

  test("costs what its body costs, or what the function says", () => {
    const { g } = mixed();
    const inlined = costOf(inlineFunctions.run(g.graph)).forwardFlops;
    expect(costOf(g.graph).forwardFlops).toBe(inlined);
    const free = builder();
    free.output(free.call({ ...roundThrough, flops: () => 0 }, [free.input("x", "float", [2])]), "y");
    expect(costOf(free.graph).forwardFlops).toBe(0);
  });

  test("computes the same as a function of the file and written out", async () => {
    const { g } = mixed();
    const inlined = inlineFunctions.run(g.graph);
    checkGraph(inlined);
    expect(inlined.nodes.map(({ name }) => name)).toEqual([
      "block/Mix_0/Unsqueeze_0",
      "block/Mix_0/sum/Mul_0",
      "block/Mix_0/sum/Sub_0",
      "block/Mix_0/sum/Mul_1",
      "block/Mix_0/sum/Add_0",
    ]);
    expect(await runGraph(inlined, mixFeeds)).toEqual(await runGraph(g.graph, mixFeeds));
  });

  test("stays where a graph is lowered, and is written out where it is simplified for inference", () => {
    const { g } = mixed();
    expect(lowerGraph(g.graph, loweringOf("cpu", 8)).nodes.map(({ opType }) => opType)).toEqual([
      "com.example.Mix",
    ]);
    expect(simplifyForInference(g.graph).functions()).toEqual([]);
  });
});
