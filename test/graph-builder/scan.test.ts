import { expect, test } from "vitest";
import {
  appendGradients,
  type Builder,
  checkGraph,
  createBuilder,
  createModel,
  decodeModel,
  encodeModel,
  Graph,
  lowerGraph,
  portable,
  printGraph,
  Subgraph,
  Tensor,
  type Value,
} from "../../graph-builder/index.ts";
import { appendScan } from "../../graph-builder/scan.ts";
import { normal } from "../support/random-tensor.ts";
import { numbersOf, openGraph } from "../support/run-graph.ts";

/** A running product with a weight from around it, h = tanh(h W + x), and the gradient of its sum by W. */
function recurrence(): Graph {
  const g: Builder = createBuilder(new Graph("recurrence"));
  const X = g.input("X", "float", ["steps", 3, 2]);
  const W = g.input("W", "float", [2, 2]);
  const { made } = appendScan(g, {
    states: [g.input("H", "float", [3, 2])],
    sequences: [X],
    captured: [W],
    step: (b, { states: [H], elements: [x], captured: [weight] }) => {
      const next = b.Tanh(b.Add(b.MatMul(H, weight), x));
      return { states: [next], made: [next] };
    },
  });
  const loss = g.ReduceSum(made[0], null, { keepdims: 0 });
  const [dW] = appendGradients(g, loss, [W]);
  g.output(made[0], "Y");
  if (dW) g.output(dW, "dW");
  return g.graph;
}

const feeds = { X: normal([4, 3, 2]).tensor, W: normal([2, 2]).tensor, H: normal([3, 2]).tensor };

test("a Scan with values from around it is written, read back and computes the same", async () => {
  const graph = recurrence();
  checkGraph(graph);
  const lowered = lowerGraph(graph, portable);
  const bytes = encodeModel(createModel(lowered));
  const again = decodeModel(bytes).graph;
  expect(again.nodes.filter(({ opType }) => opType === "Scan").length).toBe(3);
  expect(encodeModel(createModel(decodeModel(encodeModel(createModel(again))).graph))).toEqual(
    encodeModel(createModel(again)),
  );
  const [first, second] = await Promise.all(
    [graph, again].map(async (each) => {
      const session = await openGraph(each);
      const results = await session.run(feeds);
      await session.release();
      return [...numbersOf(results, "Y"), ...numbersOf(results, "dW")];
    }),
  );
  expect(second).toEqual(first);
});

test("the body of a Scan is printed with the names of what it reads around it", () => {
  const text = printGraph(recurrence());
  expect(text).toContain("body = step (float[3, 2] state_0, float[3, 2] element_0) =>");
  expect(text).toContain("MatMul (state_0, W)");
});

const isTraining = new Tensor("bool", [], Uint8Array.of(1));

test.each<[title: string, noisy: (b: Builder, x: Value) => Value]>([
  ["draws numbers", (b, x) => b.Mul(x, b.RandomNormalLike(x))],
  ["drops elements", (b, x) => b.Dropout(x, b.float(0.5), b.constant(isTraining))[0]],
])("a Scan whose body %s is refused where its gradient is needed", (_, noisy) => {
  const g: Builder = createBuilder(new Graph("noisy"));
  const X = g.input("X", "float", ["steps", 2]);
  const { made } = appendScan(g, {
    states: [],
    sequences: [X],
    captured: [],
    step: (b, { elements: [x] }) => ({ states: [], made: [noisy(b, x)] }),
  });
  const loss = g.ReduceSum(made[0], null, { keepdims: 0 });
  expect(() => appendGradients(g, loss, [X])).toThrow("Scan at Scan_0 has no gradient: its body draws");
});

test("a Scan whose list of axes or directions lacks an entry is refused", () => {
  const g: Builder = createBuilder(new Graph("pair"));
  const [X, Y] = [g.input("X", "float", [3, 2]), g.input("Y", "float", [3, 2])];
  const b = createBuilder(new Graph("step"));
  b.output(b.Add(b.input("x", "float", [2]), b.input("y", "float", [2])), "sum");
  const attributes = { body: new Subgraph(b.graph, 0), num_scan_inputs: 2 };
  expect(() => g.Scan(X, Y, { ...attributes, scan_input_directions: [1] })).toThrow(
    "scan_input_directions needs one entry for each sequence: 2, not 1",
  );
  expect(() => g.Scan(X, Y, { ...attributes, scan_output_axes: [0, 0] })).toThrow(
    "scan_output_axes needs one entry for each sequence: 1, not 2",
  );
});
