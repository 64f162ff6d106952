import { expect, test } from "vitest";
import {
  createBuilder,
  Graph,
  loweringOf,
  observePasses,
  type Pass,
  removeDeadCode,
  runPasses,
  trainingPasses,
} from "../../../graph-builder/index.ts";
import { tracePasses } from "../../../runtime/measure/pass-trace.ts";

/** y = Relu(x), and a Neg that no output needs. */
function withDeadNode(): Graph {
  const g = createBuilder(new Graph("small"));
  const x = g.input("x", "float", [2]);
  g.input("unread", "float", [2]);
  g.Neg(g.Exp(x));
  g.output(g.Relu(x), "y");
  return g.graph;
}

const operatorsOf = (graph: Graph) => graph.nodes.map(({ opType }) => opType);

test("dead code is what no output needs; inputs that nothing reads stay", () => {
  const graph = withDeadNode();
  const alive = runPasses(graph, [removeDeadCode]);
  expect(operatorsOf(alive)).toEqual(["Relu"]);
  expect(alive.inputs.map(({ name }) => name)).toEqual(["x", "unread"]);
  expect(operatorsOf(graph)).toEqual(["Exp", "Neg", "Relu"]);
  expect(runPasses(alive, [removeDeadCode])).toBe(alive);
});

test("passes run in order, each on the graph of the one before", () => {
  const empty = (name: string): Pass => ({ name, run: (graph) => new Graph(`${graph.name} ${name}`) });
  expect(runPasses(new Graph("a"), [empty("b"), empty("c")]).name).toBe("a b c");
});

test("an observer sees each pass with the graph before and after it, until it is taken away", () => {
  const seen: string[] = [];
  const stop = observePasses(({ name }, before) => {
    seen.push(`${name} ${before.nodes.length}`);
    return (after) => seen.push(`${name} -> ${after.nodes.length}`);
  });
  runPasses(withDeadNode(), [removeDeadCode]);
  stop();
  runPasses(withDeadNode(), [removeDeadCode]);
  expect(seen).toEqual(["remove-dead-code 3", "remove-dead-code -> 1"]);
});

test("a trace has a line a pass: name, nodes before and after, milliseconds", () => {
  const lines: string[] = [];
  const stop = tracePasses((line) => lines.push(line));
  const passes = trainingPasses(loweringOf("portable"));
  runPasses(withDeadNode(), passes);
  stop();
  expect(lines.map((line) => line.replace(/[\d.]+ ms/, "0 ms"))).toEqual([
    "pass inline-functions: 3 -> 3 nodes, 0 ms",
    "pass explicit-state: 3 -> 1 nodes, 0 ms",
    "pass lower: 1 -> 1 nodes, 0 ms",
    "pass cancel-reorders: 1 -> 1 nodes, 0 ms",
    "pass remove-dead-code: 1 -> 1 nodes, 0 ms",
    "pass fuse-activations: 1 -> 1 nodes, 0 ms",
    "pass merge-common-subexpressions: 1 -> 1 nodes, 0 ms",
    "pass remove-dead-code: 1 -> 1 nodes, 0 ms",
  ]);
  expect(lines.map((line) => line.split(/[ :]/)[1])).toEqual(passes.map(({ name }) => name));
});
