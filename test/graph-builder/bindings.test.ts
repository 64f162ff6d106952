import { expect, test } from "vitest";
import { decodeCheckpoint } from "../../artifacts/index.ts";
import {
  BINDINGS_KEY,
  type Binding,
  bindingsOf,
  bindModel,
  createBuilder,
  decodeModel,
  deriveBindings,
  encodeModel,
  explicitBindings,
  Graph,
  metadataBesideBindings,
  optimizerGraph,
  readBindings,
  stockOptimizer,
} from "../../graph-builder/index.ts";
import { buildTrainingArtifacts, optimizers, targets } from "../../shakenet/index.ts";
import { tinySettings } from "../support/tiny-run.ts";

const none = { trainable: new Set<string>(), frozen: new Set<string>() };

function graphOf(
  inputs: readonly string[],
  outputs: readonly string[],
  inPlace: readonly string[] = [],
): Graph {
  const g = createBuilder(new Graph("g"));
  const values = inputs.map((name) => g.input(name, "float", [1]));
  const [first = g.float([1])] = values;
  for (const name of outputs) g.output(g.Neg(first), name);
  for (const value of values) {
    if (inPlace.includes(value.name ?? ""))
      g.output(g.InPlaceAccumulatorV2(value, first)[0], `${value.name}_flag`);
  }
  return g.graph;
}

test("bindings survive in a file's metadata, beside what else is there", () => {
  const parameters = [{ name: "w", shape: [2] }];
  const rule = {
    kind: "adamw",
    alpha: 0.9,
    beta: 0.999,
    epsilon: 1e-8,
    weightDecay: 0,
    correctBias: true,
    mode: 0,
  } as const;
  const bound = optimizerGraph(parameters, { ...rule, maxNorm: 1 });
  const model = decodeModel(encodeModel(bindModel(bound, { metadataProps: { author: "me" } })));
  expect(bindingsOf(model, "optimizer", none, "the file")).toEqual([
    { role: "learning-rate", input: "learning_rate" },
    { role: "step", input: "step" },
    { role: "parameter", input: "w", output: "w_next" },
    { role: "gradient", parameter: "w", input: "w_grad", output: "w_grad_next" },
    { role: "moment", parameter: "w", index: 0, input: "w.momentum_1", output: "w.momentum_1_next" },
    { role: "moment", parameter: "w", index: 1, input: "w.momentum_2", output: "w.momentum_2_next" },
  ]);
  expect(metadataBesideBindings(model)).toEqual({ author: "me" });
});

test("an optimizer whose parameters have each other's derived names says which is which", () => {
  const parameters = ["w", "w_next", "w_grad", "w.momentum", "learning_rate"].map((name) => ({
    name,
    shape: [2],
  }));
  const rule = { kind: "sgd-nesterov", momentum: 0.9, weightDecay: 0 } as const;
  const { graph, bindings } = optimizerGraph(parameters, rule);
  encodeModel(bindModel({ graph, bindings }));
  const of = (role: string, parameter: string) =>
    bindings.find(
      (one) => one.role === role && ("parameter" in one ? one.parameter : one.input) === parameter,
    );
  expect(bindings[0]).toEqual({ role: "learning-rate", input: "learning_rate_1" });
  expect(of("parameter", "w")).toMatchObject({ output: "w_next_1" });
  expect(of("gradient", "w")).toMatchObject({ input: "w_grad_1" });
  expect(of("moment", "w")).toMatchObject({ input: "w.momentum_1", output: "w.momentum_1_next" });
  expect(of("parameter", "w_next")).toMatchObject({ input: "w_next", output: "w_next_next" });
});

test.each([
  ["no JSON", "it is not JSON of the form"],
  ["null", "it is not JSON of the form"],
  ['{"format":2,"bindings":[]}', "it is not JSON of the form"],
  ['{"format":1,"bindings":[7]}', "its entry 0 is 7"],
  ['{"format":1,"bindings":[{"role":"weight","input":"w"}]}', 'its entry 0 is {"role":"weight","input":"w"}'],
  ['{"format":1,"bindings":[{"role":"moment","parameter":"w","index":-1,"input":"w"}]}', "its entry 0 is"],
  ['{"format":1,"bindings":[{"role":"gradient","parameter":"w","input":3}]}', "its entry 0 is"],
  ['{"format":1,"bindings":[{"role":"parameter","input":"v"}]}', "input v is bound twice, or is not there"],
  [
    '{"format":1,"bindings":[{"role":"parameter","input":"w","output":"y"},{"role":"constant","input":"w"}]}',
    "input w is bound twice, or is not there",
  ],
])("damaged bindings (%s) are refused in a sentence that names the file", (json, sentence) => {
  const model = {
    ...bindModel({ graph: graphOf(["w"], ["y"]), bindings: [] }),
    metadataProps: { [BINDINGS_KEY]: json },
  };
  const read = () => bindingsOf(model, "training", none, "training_model.onnx");
  expect(read).toThrow(`training_model.onnx has a damaged training.bindings in its metadata: ${sentence}`);
  expect(read).toThrow(expect.objectContaining({ code: "bindings-damaged" }));
});

test("names tell the bindings of a file that accumulates gradients, whatever the user calls outputs and parameters", () => {
  const buffers = ["a_grad.accumulation.buffer", "a_grad_grad.accumulation.buffer"];
  const graph = graphOf(
    ["x", "a", "a_grad", ...buffers, "mean", "lazy_reset_grad"],
    ["loss", "a_next"],
    buffers,
  );
  const tensors = { trainable: new Set(["a", "a_grad"]), frozen: new Set(["mean"]) };
  expect(deriveBindings(graph, "training", tensors)).toEqual<Binding[]>([
    { role: "parameter", input: "a" },
    { role: "parameter", input: "a_grad" },
    { role: "gradient", parameter: "a", input: "a_grad.accumulation.buffer" },
    { role: "gradient", parameter: "a_grad", input: "a_grad_grad.accumulation.buffer" },
    { role: "constant", input: "mean" },
    { role: "reset-gradients", input: "lazy_reset_grad" },
  ]);
});

test("names tell the bindings of a file that returns gradients, and of one that updates its parameters", () => {
  const returning = graphOf(["x", "w", "bn.running_mean"], ["loss", "w_grad", "bn.running_mean_next"]);
  const split = { trainable: new Set(["w"]), frozen: new Set(["bn.running_mean"]) };
  expect(deriveBindings(returning, "training", split)).toEqual<Binding[]>([
    { role: "parameter", input: "w" },
    { role: "statistic", input: "bn.running_mean", output: "bn.running_mean_next" },
    { role: "gradient", parameter: "w", output: "w_grad" },
  ]);
  const fused = graphOf(
    ["x", "w", "bn.running_mean", "w.momentum", "learning_rate"],
    ["loss", "w_next", "bn.running_mean_next", "w.momentum_next"],
  );
  const frozen = { trainable: new Set<string>(), frozen: new Set(["w", "bn.running_mean", "w.momentum"]) };
  expect(deriveBindings(fused, "training", frozen)).toEqual<Binding[]>([
    { role: "parameter", input: "w", output: "w_next" },
    { role: "statistic", input: "bn.running_mean", output: "bn.running_mean_next" },
    { role: "moment", parameter: "w", index: 0, input: "w.momentum", output: "w.momentum_next" },
    { role: "learning-rate", input: "learning_rate" },
  ]);
});

test("in a training model that does not update its parameters, learning_rate and step are the user's", () => {
  const graph = graphOf(["learning_rate", "step", "w"], ["loss"]);
  const tensors = { trainable: new Set(["w"]), frozen: new Set<string>() };
  expect(deriveBindings(graph, "training", tensors)).toEqual([{ role: "parameter", input: "w" }]);
});

const settings = targets.flatMap((target) =>
  optimizers.flatMap((optimizer) => [false, true].map((fused) => ({ target, optimizer, fused }))),
);

test.each(settings)(
  "a ShakeNet's files for $target, $optimizer, fused $fused say what their names tell, as files of older versions must",
  (changes) => {
    const artifacts = buildTrainingArtifacts(tinySettings(changes));
    const { trainable, frozen } = decodeCheckpoint(artifacts.checkpoint);
    const tensors = { trainable: new Set(trainable.keys()), frozen: new Set(frozen.keys()) };
    const files = { training: artifacts.trainingModel, optimizer: artifacts.optimizerModel };
    for (const kind of ["training", "optimizer"] as const) {
      const bytes = files[kind];
      if (!bytes) continue;
      const model = decodeModel(bytes);
      if (stockOptimizer(model.graph)) {
        expect(readBindings(model, kind)).toBeUndefined();
        continue;
      }
      const sorted = (bindings: readonly Binding[] = []) =>
        bindings.map((one) => JSON.stringify(one, Object.keys(one).sort())).sort();
      const said = readBindings(model, kind);
      expect(said?.length).toBeGreaterThan(tensors.trainable.size);
      // in place, a file does not show which of its frozen tensors change before its state is made explicit
      const derived = explicitBindings({
        graph: model.graph,
        bindings: deriveBindings(model.graph, kind, tensors),
      });
      expect(sorted(derived)).toEqual(sorted(explicitBindings({ graph: model.graph, bindings: said ?? [] })));
    }
  },
);
