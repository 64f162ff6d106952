import { expect, test } from "vitest";
import {
  type Builder,
  createBuilder,
  createModel,
  fusedStep,
  Graph,
  inlineFunctions,
  lowerGraph,
  loweringOf,
  type Node,
  optimizerGraph,
  runPasses,
  trainingPasses,
  type Value,
} from "../../graph-builder/index.ts";
import {
  type ArtifactSettings,
  evaluationModel,
  optimizerRule,
  optimizers,
  targets,
  trainingModel,
} from "../../shakenet/index.ts";
import { withoutBfloat16Kernel } from "../support/cuda-bfloat16.ts";
import table from "../support/cuda-kernels.json" with { type: "json" };
import { tinySettings } from "../support/tiny-run.ts";

/**
 * A registered kernel: the opsets it serves (`13`, `14+` or `[13, 17]`), for each input a type variable or a
 * fixed element type (`T...` stands for any number of inputs), and the element types that a variable may be.
 */
interface Kernel {
  readonly opset: string;
  readonly inputs: readonly string[];
  readonly types: Readonly<Record<string, readonly string[]>>;
}

const kernels: Readonly<Record<string, readonly Kernel[]>> = table.kernels;

/** What CUDA has no kernel for, a sentence a node. */
function uncovered(graph: Graph): string[] {
  const { opset } = createModel(graph);
  return graph.nodes.flatMap((node) => {
    const at = `${node.opType} at ${node.name}`;
    if (node.operator.domain !== "") return [`${at} is not of ai.onnx`];
    const served = (kernels[node.opType] ?? []).filter((kernel) => serves(kernel, opset));
    if (served.length === 0) return [`${at} has no CUDA kernel for opset ${opset}`];
    if (served.some((kernel) => takes(kernel, node))) return [];
    return [`${at} has no CUDA kernel for (${elementTypes(node).join(", ")})`];
  });
}

function serves({ opset }: Kernel, version: number): boolean {
  const [first = Number.NaN, last = first] = (opset.match(/\d+/g) ?? []).map(Number);
  return first <= version && (version <= last || opset.endsWith("+"));
}

function takes({ inputs, types }: Kernel, node: Node): boolean {
  return elementTypes(node).every((type, i) => {
    const declared = inputs[i] ?? inputs.find((input) => input.endsWith("..."));
    if (type === "" || declared === undefined) return type === "";
    const variable = declared.replace("...", "");
    return (types[variable] ?? [variable]).includes(type);
  });
}

/** The element type of each input, empty for one that was left out. */
function elementTypes({ inputs }: Node): string[] {
  return inputs.map((value) => value?.elemType ?? "");
}

/** The batch normalisations that would train: CUDA's kernel of opset 15 refuses them. */
function trainingNormalizations({ nodes }: Graph): string[] {
  const isTraining = (node: Node) =>
    node.opType === "BatchNormalization" &&
    (node as Node<"BatchNormalization">).attributes.training_mode === 1;
  return nodes.filter(isTraining).map(({ name }) => name);
}

function onCuda(graph: Graph): Graph {
  return runPasses(graph, trainingPasses(loweringOf("portable")));
}

function settingsOf(changes: Partial<ArtifactSettings>): ArtifactSettings {
  return tinySettings({ depth: 14, width: 16, ...changes });
}

/** A graph of one operator over the given inputs. */
function graphOf(build: (g: Builder) => Value): Graph {
  const g = createBuilder(new Graph("control"));
  g.output(build(g), "Y");
  return g.graph;
}

test("every row of the table is for opset 17", () => {
  const rows = Object.entries(kernels).flatMap(([opType, list]) =>
    list.map((kernel) => ({ opType, kernel })),
  );
  expect(rows.filter(({ kernel }) => !serves(kernel, 17))).toEqual([]);
});

test.each(["16", "18+", "[13, 16]", "[18, 20]"])("a kernel for opset %s does not serve opset 17", (opset) => {
  expect(serves({ opset, inputs: [], types: {} }, 17)).toBe(false);
});

test("the standard training model has a CUDA kernel for every node once its functions are written out", () => {
  const graph = inlineFunctions.run(trainingModel(settingsOf({ target: "standard" })).graph);
  expect(uncovered(graph)).toEqual([]);
  expect(trainingNormalizations(graph)).toEqual([]);
});

test("the training model in ONNX Runtime's training operators, lowered as a session does, has them too", () => {
  const graph = onCuda(trainingModel(settingsOf({ target: "ort-training" })).graph);
  expect(uncovered(graph)).toEqual([]);
  expect(trainingNormalizations(graph)).toEqual([]);
});

test.each(targets)("the evaluation model of target %s has a CUDA kernel for every node", (target) => {
  const graph = onCuda(evaluationModel(settingsOf({ target })));
  expect(uncovered(graph)).toEqual([]);
  expect(trainingNormalizations(graph)).toEqual([]);
});

test.each(optimizers)("the %s step of all parameters has a CUDA kernel for every node", (optimizer) => {
  const settings = settingsOf({ target: "standard", optimizer });
  const { parameters } = trainingModel(settings);
  const trained = parameters.filter(({ kind }) => kind === "parameter");
  expect(trained.length).toBeGreaterThan(0);
  expect(uncovered(optimizerGraph(trained, optimizerRule(settings)).graph)).toEqual([]);
});

test.each(["float32", "mixed"] as const)(
  "a whole step with clipped gradients and groups, precision %s, has a CUDA kernel for every node",
  (precision) => {
    const settings = settingsOf({
      target: "standard",
      clipNorm: 1,
      normDecay: 0,
      biasRate: 8,
      stem: "whitening-pool",
      downsampling: "max-pool",
      activation: "gelu",
    });
    const training = trainingModel(settings);
    const trained = training.parameters.filter(({ kind }) => kind === "parameter");
    const { graph } = fusedStep(training, optimizerGraph(trained, optimizerRule(settings)), { precision });
    expect(graph.nodes.some(({ opType }) => opType === "Min")).toBe(true);
    expect(uncovered(onCuda(graph))).toEqual([]);
  },
);

test.each(["portable", "cuda"] as const)(
  "in bfloat16, a whole step of opset 22 by the lowering %s has no loss scale",
  (lowering) => {
    const settings = settingsOf({ target: "ort-training" });
    const training = trainingModel(settings);
    const trained = training.parameters.filter(({ kind }) => kind === "parameter");
    const optimizer = optimizerGraph(trained, optimizerRule(settings));
    const step = fusedStep(training, optimizer, { precision: "bfloat16" });
    expect([...step.states.keys()].filter((name) => /scale|good/.test(name))).toEqual([]);
    expect(step.packs.map(({ name }) => name)).toContain("weights.wide_half");
    const graph = lowerGraph(step.graph, loweringOf(lowering));
    expect(createModel(graph).opset).toBe(22);
    expect(graph.inputs.concat(graph.outputs).filter(({ elemType }) => elemType === "bfloat16")).toEqual([]);
    const typeOf = (opType: string) =>
      new Set(graph.nodes.filter((node) => node.opType === opType).map((node) => node.input(0).elemType));
    expect([typeOf("Conv"), typeOf("LogSoftmax")]).toEqual([new Set(["bfloat16"]), new Set(["float"])]);
    if (lowering === "cuda") {
      expect(withoutBfloat16Kernel(graph)).toEqual([]);
      expect(typeOf("FusedMatMul")).toEqual(new Set(["bfloat16"]));
      expect(typeOf("NhwcConvTranspose")).toEqual(new Set(["float"]));
    }
  },
);

test("a training operator, a function and a loss without a CUDA kernel are caught by name", () => {
  const { graph } = trainingModel(settingsOf({ target: "ort-training" }));
  const found = uncovered(graph);
  const operatorsFound = new Set(found.map((sentence) => sentence.split(" ")[0]));
  for (const opType of [
    "ConvGrad",
    "BatchNormalizationGrad",
    "shakenet.ShakeForward",
    "shakenet.ShakeBackward",
  ]) {
    expect(operatorsFound).toContain(opType);
  }
  expect(found).toContain(
    "SoftmaxCrossEntropyLoss at loss/SoftmaxCrossEntropyLoss_0 has no CUDA kernel for opset 17",
  );
});

test("an operator whose CUDA kernel does not take the element type is caught", () => {
  const argMax = graphOf((g) => g.ArgMax(g.input("X", "int64", [2, 3])));
  expect(uncovered(argMax)).toEqual(["ArgMax at ArgMax_0 has no CUDA kernel for (int64)"]);
  const where = graphOf((g) => {
    const condition = g.input("X", "bool", [2]);
    return g.Where(condition, condition, condition);
  });
  expect(uncovered(where)).toEqual(["Where at Where_0 has no CUDA kernel for (bool, bool, bool)"]);
});

test("a batch normalization in training mode is caught although its operator has a CUDA kernel", () => {
  const graph = graphOf((g) => {
    const [X, C] = [g.input("X", "float", ["batch", 2, 3, 3]), g.input("C", "float", [2])];
    return g.BatchNormalization(X, C, C, C, C, { training_mode: 1 })[0];
  });
  expect(uncovered(graph)).toEqual([]);
  expect(trainingNormalizations(graph)).toEqual(["BatchNormalization_0"]);
});
