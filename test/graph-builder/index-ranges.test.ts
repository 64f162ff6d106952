import { expect, test } from "vitest";
import {
  appendGradients,
  createBuilder,
  dataTypeNumbers,
  Graph,
  indexRanges,
  lowerGraph,
  loweringNames,
  loweringOf,
} from "../../graph-builder/index.ts";

/** A loss over 4 classes, with its backward pass. */
function classifier(ignore_index?: number): Graph {
  const g = createBuilder(new Graph("classifier"));
  const scores = g.input("scores", "float", ["batch", 4]);
  const labels = g.input("labels", "int32", ["batch", 1]);
  const flat = g.Reshape(g.Cast(labels, { to: dataTypeNumbers.int64 }), g.int64([-1]));
  const [loss] = g.SoftmaxCrossEntropyLoss(scores, flat, null, { ignore_index });
  g.output(loss, "loss");
  for (const gradient of appendGradients(g, loss, [scores])) g.output(gradient, "scores_grad");
  return g.graph;
}

test.each(loweringNames)(
  "the classes of labels are told by a cross-entropy, also in the operators of %s",
  (name) => {
    for (const ignored of [undefined, -100]) {
      for (const graph of [classifier(ignored), lowerGraph(classifier(ignored), loweringOf(name))]) {
        const ranges = indexRanges(graph);
        expect([...ranges.keys()]).toEqual(["labels"]);
        for (const range of ranges.get("labels") ?? []) {
          expect(range).toEqual({ kind: "class", from: 0, to: 3, ignored });
        }
      }
    }
  },
);

test("an index is told by the table that a Gather reads; one-hot codes and tables of unknown size tell nothing", () => {
  const g = createBuilder(new Graph("indices"));
  const [ids, codes, rows] = ["ids", "codes", "rows"].map((name) => g.input(name, "int64", ["batch"]));
  if (!ids || !codes || !rows) throw new Error("inputs are missing");
  g.output(g.Gather(g.input("table", "float", [2, 7]), ids, { axis: -1 }), "picked");
  g.output(g.OneHot(codes, g.int64([5]), g.float([0, 1])), "coded");
  g.output(g.Gather(g.input("data", "float", ["rows", 3]), rows), "data_rows");
  expect([...indexRanges(g.graph)]).toEqual([["ids", [{ kind: "index", from: -7, to: 6 }]]]);
});
