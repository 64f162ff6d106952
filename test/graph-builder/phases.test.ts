import { expect, test } from "vitest";
import {
  costOf,
  createBuilder,
  createModel,
  decodeModel,
  encodeModel,
  Graph,
  loweringOf,
  optimizerGraph,
  type Phase,
  runPasses,
  stockOptimizerGraph,
  trainingPasses,
} from "../../graph-builder/index.ts";
import { buildTrainingArtifacts, shakeNetFunctions, targets, trainingModel } from "../../shakenet/index.ts";
import { tinySettings } from "../support/tiny-run.ts";

const phases = ({ nodes }: Graph) => nodes.map(({ name, phase }) => `${phase} ${name}`);
const found = ({ nodes }: Graph) => [...new Set(nodes.map(({ phase }) => phase))];

const settings = targets.flatMap((target) => [false, true].map((fused) => ({ target, fused })));

test.each(settings)(
  "a file for $target, fused $fused, says the phases, and its names tell the same",
  (changes) => {
    const { graph } = trainingModel(tinySettings(changes));
    const { trainingModel: bytes } = buildTrainingArtifacts(tinySettings(changes));
    const read = decodeModel(bytes, "training_model.onnx", { functions: shakeNetFunctions });
    expect(phases(read.graph)).toEqual(phases(graph));
    for (const node of read.graph.nodes) node.phase = "forward";
    // as a file of an older version says them
    const older = decodeModel(encodeModel(read), "older.onnx", { functions: shakeNetFunctions });
    expect(phases(older.graph)).toEqual(phases(graph));
    const expected: Phase[] = changes.fused ? ["forward", "backward", "update"] : ["forward", "backward"];
    expect(found(graph)).toEqual(expected);
  },
);

test.each(["portable", "cpu"] as const)("a node that the %s lowering puts in keeps its phase", (lowering) => {
  const { graph } = trainingModel(tinySettings({ fused: true }));
  const table = loweringOf(lowering, lowering === "cpu" ? 8 : undefined);
  const lowered = runPasses(graph, trainingPasses(table));
  const isBackward = (name: string) => /_grad\//i.test(name);
  const wrong = lowered.nodes.filter(({ name, phase }) => isBackward(name) !== (phase === "backward"));
  expect(wrong.map(({ name }) => name)).toEqual([]);
  expect(found(lowered)).toEqual(["forward", "backward", "update"]);
});

test("a file says phases that no name tells, beside the other metadata of a node", () => {
  const g = createBuilder(new Graph("g"));
  const x = g.input("x", "float", [2]);
  const negative = g.during("update", () => g.Neg(g.Abs(x)));
  const { producer } = negative;
  if (producer) producer.notes = { metadataProps: { author: "me" } };
  g.output(g.Abs(negative), "y");
  const once = decodeModel(encodeModel(createModel(g.graph)));
  const twice = decodeModel(encodeModel(once));
  expect(phases(twice.graph)).toEqual(["update Abs_0", "update Neg_0", "forward Abs_1"]);
  expect(twice.graph.nodes.map(({ notes }) => notes?.metadataProps)).toEqual([
    undefined,
    { author: "me" },
    undefined,
  ]);
});

test("an optimizer is an update", () => {
  expect(found(optimizerGraph([{ name: "w", shape: [2] }], { kind: "sgd" }).graph)).toEqual(["update"]);
  expect(found(stockOptimizerGraph({ kind: "sgd" }))).toEqual(["update"]);
});

test("an update costs nothing an image, and a fused model what the same one costs that is not", () => {
  const [fused, separate] = [true, false].map((isFused) =>
    costOf(trainingModel(tinySettings({ fused: isFused, target: "standard" })).graph),
  );
  expect(fused).toEqual(separate);
});
