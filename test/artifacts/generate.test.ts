import { describe, expect, test } from "vitest";
import { artifactFiles, decodeCheckpoint, generateArtifacts, restoreModel } from "../../artifacts/index.ts";
import {
  checkGraph,
  createBuilder,
  createModel,
  decodeModel,
  encodeModel,
  floats,
  Graph,
  isOp,
  type Model,
  type Value,
} from "../../graph-builder/index.ts";
import { mlp, smallCnn, twoHeads, weight } from "../support/artifact-models.ts";

const named = (bytes: Uint8Array) => {
  const { graph } = decodeModel(bytes);
  checkGraph(graph);
  return {
    inputs: graph.inputs.map(({ name }) => name),
    outputs: graph.outputs.map(({ name }) => name),
  };
};

describe("the files of a regression", () => {
  test("have the model's inputs, the target and the parameters, and loss first", () => {
    const artifacts = generateArtifacts(mlp(), { loss: "mse" });
    const parameters = ["hidden.weight", "hidden.bias", "out.weight", "out.bias"];
    expect(named(artifacts.trainingModel)).toEqual({
      inputs: [
        "x",
        "target",
        ...parameters,
        ...parameters.map((name) => `${name}_grad.accumulation.buffer`),
        "lazy_reset_grad",
      ],
      outputs: ["loss", ...parameters.map((name) => `${name}_grad.accumulation.out`)],
    });
    expect(named(artifacts.evalModel)).toEqual({
      inputs: ["x", "target", ...parameters],
      outputs: ["loss", "y"],
    });
    expect([...decodeCheckpoint(artifacts.checkpoint).trainable.keys()].sort()).toEqual(
      [...parameters].sort(),
    );
    expect(artifacts.manifest).toMatchObject({
      format: 1,
      model: "mlp",
      parameters: 26,
      trainable: parameters,
    });
  });

  test("return gradients and next statistics in standard operators", () => {
    const { trainingModel } = generateArtifacts(smallCnn(), { loss: "cross-entropy", target: "standard" });
    const { inputs, outputs } = named(trainingModel);
    expect(inputs.slice(0, 3)).toEqual(["images", "labels", "first.conv.weight"]);
    expect(outputs[0]).toBe("loss");
    expect(outputs).toContain("first.bn.weight_grad");
    expect(outputs).toContain("second.bn.running_var_next");
    const domains = new Set(decodeModel(trainingModel).graph.nodes.map(({ operator }) => operator.domain));
    expect([...domains]).toEqual([""]);
  });
});

test("the same model and options give the same bytes", () => {
  const once = generateArtifacts(smallCnn(), { loss: "cross-entropy" });
  expect(generateArtifacts(smallCnn(), { loss: "cross-entropy" })).toEqual(once);
});

/**
 * Two layers of batch normalisation over x float [batch, 2, 3] whose scales and statistics are one tensor.
 */
function modelWithMergedStatistics(): Model {
  const g = createBuilder(new Graph("merged"));
  const ones = g.constant(floats([1, 1]), "bn1.weight");
  const layer = (name: string, X: Value) =>
    g.scope(name, () =>
      g.BatchNormalization(X, ones, weight(g, `${name}.bias`, [2]), ones, g.Identity(ones)),
    )[0];
  g.output(layer("bn2", layer("bn1", g.input("x", "float", ["batch", 2, 3]))), "y");
  return createModel(g.graph, {});
}

describe("the source model", () => {
  const restored = (model: Model, options: Parameters<typeof generateArtifacts>[1]) => {
    const bytes = encodeModel(model);
    const { sourceModel, checkpoint } = generateArtifacts(bytes, options);
    return { bytes, sourceModel: sourceModel ?? new Uint8Array(), checkpoint: decodeCheckpoint(checkpoint) };
  };

  test("gives back the file, byte for byte, with the weights of the checkpoint", () => {
    const { bytes, sourceModel, checkpoint } = restored(smallCnn(), { loss: "cross-entropy" });
    expect(sourceModel.length).toBeLessThan(bytes.length);
    expect(restoreModel(sourceModel, checkpoint)).toEqual(bytes);
  });

  test("gives other weights, and the rest of the file unchanged", () => {
    const { bytes, sourceModel, checkpoint } = restored(mlp(), { loss: "mse", trainable: "head" });
    checkpoint.trainable.set("out.bias", floats([7, 7]));
    const model = decodeModel(restoreModel(sourceModel, checkpoint));
    const [before, after] = [decodeModel(bytes), model].map(
      ({ graph }) => new Map(graph.initializers.map(({ name, constant }) => [name, constant?.numbers()])),
    );
    expect(after?.get("out.bias")).toEqual([7, 7]);
    expect(after?.get("hidden.weight")).toEqual(before?.get("hidden.weight"));
    expect(model.metadataProps).toEqual({ author: "a test" });
    expect(model.docString).toBe("a test's model");
  });

  test("has statistics of its own for each layer where the exporter has merged equal ones", () => {
    const merged = modelWithMergedStatistics();
    const { sourceModel, checkpoint } = restored(merged, { loss: "mse" });
    const names = ["bn1.running_mean", "bn1.running_var", "bn2.running_mean", "bn2.running_var"];
    expect(names.every((name) => checkpoint.frozen.has(name))).toBe(true);
    for (const [i, name] of names.entries()) checkpoint.frozen.set(name, floats([i + 1, i + 2]));
    const { graph } = decodeModel(restoreModel(sourceModel, checkpoint));
    const layers = graph.nodes.filter((node) => isOp(node, "BatchNormalization"));
    const statistics = layers.flatMap(({ inputs }) =>
      inputs.slice(3).map((input) => input?.constant?.numbers()),
    );
    expect(statistics).toEqual(names.map((_, i) => [i + 1, i + 2]));
  });

  test("refuses a checkpoint of another model", () => {
    const { sourceModel } = restored(mlp(), { loss: "mse" });
    const { checkpoint } = restored(smallCnn(), { loss: "cross-entropy" });
    expect(() => restoreModel(sourceModel, checkpoint)).toThrow(
      "The checkpoint has no tensor hidden.weight, which source.onnx needs.",
    );
  });
});

describe("what is trained", () => {
  const trainable = (model: Model, options: Partial<Parameters<typeof generateArtifacts>[1]>) =>
    generateArtifacts(model, { loss: "cross-entropy", ...options }).manifest.trainable;

  test("is everything by default, without the running statistics", () => {
    expect(trainable(smallCnn(), {})).toEqual([
      "first.conv.weight",
      "first.bn.weight",
      "first.bn.bias",
      "second.conv.weight",
      "second.bn.weight",
      "second.bn.bias",
      "fc.weight",
      "fc.bias",
    ]);
  });

  test("is the last layer with a weight for a head, and the frozen part keeps its statistics", () => {
    const { manifest, trainingModel } = generateArtifacts(smallCnn(), {
      loss: "cross-entropy",
      trainable: "head",
    });
    expect(manifest.trainable).toEqual(["fc.weight", "fc.bias"]);
    expect(manifest.frozen).toContain("first.bn.weight");
    const normalizations = decodeModel(trainingModel).graph.nodes.filter(({ opType }) =>
      /^BatchNorm/.test(opType),
    );
    expect(normalizations.map(({ opType }) => opType)).toEqual(["BatchNormalization", "BatchNormalization"]);
  });

  test("is chosen by name, by glob, by exclusion and by function", () => {
    expect(trainable(smallCnn(), { trainable: "fc.bias" })).toEqual(["fc.bias"]);
    expect(trainable(smallCnn(), { trainable: "*.bn.*" })).toHaveLength(4);
    expect(trainable(smallCnn(), { trainable: ["all", "!first.*"] })).toHaveLength(5);
    expect(trainable(smallCnn(), { trainable: ({ name }) => name.endsWith("conv.weight") })).toHaveLength(2);
  });

  test.each([
    ["fc.wieght", "No parameter of the model matches fc.wieght. Did you mean fc.weight?"],
    [
      "third.*",
      "No parameter of the model matches third.*. It has first.conv.weight, first.bn.weight, first.bn.bias, second.conv.weight, second.bn.weight and 3 others.",
    ],
    [
      "first.bn.running_mean",
      "first.bn.running_mean cannot be trained: it is a running statistic of batch normalisation.",
    ],
    ["images", "images cannot be trained: it is an input of the model, and no constant."],
  ])("%s is refused in one sentence", (pattern, sentence) => {
    expect(() => trainable(smallCnn(), { trainable: pattern })).toThrow(sentence);
  });
});

describe("a model with two heads", () => {
  test("trains by a weighted sum of two losses, each with a target of its own", () => {
    const { trainingModel } = generateArtifacts(twoHeads(), {
      loss: [
        { loss: { type: "cross-entropy", input: "scores" } },
        { loss: { type: "l1", input: "box" }, weight: 0.5 },
      ],
    });
    expect(named(trainingModel).inputs.slice(0, 4)).toEqual(["x", "labels", "target", "trunk.weight"]);
  });

  test("reads one of them, and the other head is not part of the training", () => {
    const { manifest, trainingModel, evalModel } = generateArtifacts(twoHeads(), {
      loss: "mse",
      lossInput: "box",
    });
    expect(manifest.trainable).toEqual(["trunk.weight", "box.weight"]);
    expect(named(trainingModel).outputs[0]).toBe("loss");
    expect(named(evalModel).outputs).toEqual(["loss", "box"]);
  });

  test("gives a function the one output that it is to read", () => {
    const read: string[] = [];
    const { manifest } = generateArtifacts(twoHeads(), {
      loss: (g, outputs) => {
        read.push(...Object.keys(outputs));
        const [output] = Object.values(outputs);
        if (!output) throw new Error("the loss is given no output");
        return g.ReduceMean(g.Abs(output), { keepdims: 0 });
      },
      lossInput: "box",
    });
    expect(new Set(read)).toEqual(new Set(["box"]));
    expect(manifest.trainable).toEqual(["trunk.weight", "box.weight"]);
  });

  test("needs to be told which output the loss reads", () => {
    expect(() => generateArtifacts(twoHeads(), { loss: "mse" })).toThrow(
      "The model has the outputs scores, box: say which the loss reads (lossInput).",
    );
    expect(() => generateArtifacts(twoHeads(), { loss: "mse", lossInput: "bx" })).toThrow(
      "The model has no output bx. Did you mean box?",
    );
  });
});

test("the files have the names of ONNX Runtime's", () => {
  expect(Object.values(artifactFiles)).toEqual([
    "training_model.onnx",
    "eval_model.onnx",
    "optimizer_model.onnx",
    "source.onnx",
    "epoch_model.onnx",
    "initial_state.onnx",
    "checkpoint",
  ]);
});

test("a loss that reads the result of its own activation is a warning", () => {
  const codes = (activation: "Softmax" | "Sigmoid" | "Tanh", loss: "cross-entropy" | "bce-with-logits") => {
    const g = createBuilder(new Graph("activated"));
    const scores = g.MatMul(g.input("x", "float", ["batch", 3]), weight(g, "w", [3, 2]));
    g.output(g.Identity(g[activation](scores)), "y");
    return generateArtifacts(createModel(g.graph, {}), { loss }).manifest.warnings.map(({ code }) => code);
  };
  expect(codes("Softmax", "cross-entropy")).toEqual(["activation-doubled"]);
  expect(codes("Sigmoid", "bce-with-logits")).toEqual(["activation-doubled"]);
  expect(codes("Tanh", "cross-entropy")).toEqual([]);
});

test("parameters behind a node whose derivative is 0 are a warning, and refused where there are no others", () => {
  const model = (isWhole: boolean) => {
    const g = createBuilder(new Graph("rounded"));
    const rounded = g.Round(g.MatMul(g.input("x", "float", ["batch", 3]), weight(g, "w", [3, 2])));
    g.output(isWhole ? rounded : g.MatMul(rounded, weight(g, "v", [2, 2])), "y");
    return encodeModel(createModel(g.graph, {}));
  };
  expect(generateArtifacts(model(false), { loss: "mse" }).manifest.warnings).toEqual([
    {
      code: "gradient-stopped",
      message: "w will not change: no gradient passes Round at Round_0, whose derivative is 0.",
      tensors: ["w"],
    },
  ]);
  expect(() => generateArtifacts(model(true), { loss: "mse" })).toThrow(
    "The model cannot be trained: no gradient passes Round at Round_0, whose derivative is 0.",
  );
});

test("an output with the name of the loss, or of the number of right labels, is not returned beside it", () => {
  const g = createBuilder(new Graph("named"));
  const x = g.input("x", "float", ["batch", 3]);
  for (const name of ["y", "loss", "correct"]) g.output(g.MatMul(x, weight(g, `${name}.w`, [3, 2])), name);
  const make = (lossInput: string, additionalOutputs: readonly string[]) => () =>
    generateArtifacts(createModel(g.graph, {}), {
      loss: "cross-entropy",
      lossInput,
      additionalOutputs,
      countCorrect: true,
    });
  const sentence = (name: string) =>
    `The output ${name} of the model cannot be returned: the artifacts have an output of this name. Rename it.`;
  expect(make("y", ["loss"])).toThrow(sentence("loss"));
  expect(make("y", ["correct"])).toThrow(sentence("correct"));
  expect(make("loss", [])).toThrow(sentence("loss"));
  expect(make("y", [])().manifest.trainable).toEqual(["y.w"]);
});

test("with bodyRate, the last layer has the whole learning rate and the others a part of it", () => {
  const options = { loss: "mse", optimizer: "sgd", bodyRate: 0.01 } as const;
  const { manifest } = generateArtifacts(encodeModel(mlp()), options);
  expect(manifest.optimizer.groups).toEqual({
    "*": { learningRate: 0.01 },
    "out.weight": { learningRate: 1 },
    "out.bias": { learningRate: 1 },
  });
  const head = generateArtifacts(encodeModel(mlp()), { ...options, trainable: "head" });
  expect(head.manifest.optimizer.groups).toBeUndefined();
});
