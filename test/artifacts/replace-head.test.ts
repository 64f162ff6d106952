import { describe, expect, test } from "vitest";
import {
  decodeCheckpoint,
  type GenerateOptions,
  generateArtifacts,
  restoreModel,
} from "../../artifacts/index.ts";
import {
  type Builder,
  createBuilder,
  createModel,
  decodeModel,
  formatType,
  Graph,
  int64s,
  type Model,
  type Value,
} from "../../graph-builder/index.ts";
import { tensorOf } from "../../graph-builder/tensor.ts";
import { halfMlp, normal, smallCnn, twoHeads, weight } from "../support/artifact-models.ts";
import { fileOf, info, initializer, nodeOf } from "../support/file-model.ts";

/** The artifacts for `classes` classes, and the model that `exportModel` would write of them. */
function withClasses(model: Model | Uint8Array, classes: number, options: Partial<GenerateOptions> = {}) {
  const artifacts = generateArtifacts(model, { loss: "cross-entropy", classes, ...options });
  const checkpoint = decodeCheckpoint(artifacts.checkpoint);
  const restored = decodeModel(restoreModel(artifacts.sourceModel ?? new Uint8Array(), checkpoint));
  const tensor = (name: string) => checkpoint.trainable.get(name) ?? checkpoint.frozen.get(name);
  const types = (graph: Graph) => graph.outputs.map(({ name, type }) => `${name} ${formatType(type)}`);
  return { artifacts, tensor, outputs: types(restored.graph) };
}

/** A model of one layer behind a hidden one of 4 units; `head` appends it. */
function modelWith(head: (g: Builder, hidden: Value) => Value): Model {
  const g = createBuilder(new Graph("heads"));
  const hidden = g.Relu(g.MatMul(g.input("x", "float", ["batch", 3]), weight(g, "trunk", [3, 4])));
  g.output(head(g, hidden), "y");
  return createModel(g.graph, {});
}

describe("a last layer for another number of classes", () => {
  test("has new weights within PyTorch's bound, and everything before it stays", () => {
    const { artifacts, tensor, outputs } = withClasses(smallCnn(), 7, { seed: 3 });
    expect(artifacts.manifest.newHead).toEqual({ classes: 7, tensors: ["fc.weight", "fc.bias"] });
    expect(outputs).toEqual(["logits float[batch, 7]"]);
    expect(tensor("fc.weight")?.dims).toEqual([7, 5]);
    expect(tensor("fc.bias")?.dims).toEqual([7]);
    const values = [...(tensor("fc.weight")?.numbers() ?? []), ...(tensor("fc.bias")?.numbers() ?? [])];
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(5));
    expect(new Set(values).size).toBe(42);
    const before = smallCnn().graph.initializers.find(({ name }) => name === "second.conv.weight");
    expect(tensor("second.conv.weight")?.numbers()).toEqual(before?.constant?.numbers());
    expect(withClasses(smallCnn(), 7, { seed: 3 }).artifacts).toEqual(artifacts);
    const other = withClasses(smallCnn(), 7, { seed: 4 });
    expect(other.tensor("fc.weight")?.numbers()).not.toEqual(tensor("fc.weight")?.numbers());
  });

  test("stays as it is where it has that number already", () => {
    const { artifacts } = withClasses(smallCnn(), 3);
    expect(artifacts.manifest.newHead).toBeUndefined();
    expect(artifacts).toEqual(generateArtifacts(smallCnn(), { loss: "cross-entropy" }));
  });

  test.each([
    [
      "MatMul and Add",
      (g: Builder, h: Value) => g.Add(weight(g, "b", [2]), g.MatMul(h, weight(g, "w", [4, 2]))),
      [4, 5],
      [5],
    ],
    [
      "MatMul with a transposed weight",
      (g: Builder, h: Value) => g.MatMul(h, g.Transpose(weight(g, "w", [2, 4]), { perm: [1, 0] })),
      [5, 4],
      undefined,
    ],
    [
      "Gemm with a bias of one row, and Softmax",
      (g: Builder, h: Value) => g.Softmax(g.Gemm(h, weight(g, "w", [4, 2]), weight(g, "b", [1, 2]))),
      [4, 5],
      [1, 5],
    ],
    [
      "Conv of 1 x 1 and Flatten",
      (g: Builder, h: Value) =>
        g.Flatten(
          g.Conv(g.Reshape(h, g.int64([0, 4, 1, 1])), weight(g, "w", [2, 4, 1, 1]), weight(g, "b", [2])),
        ),
      [5, 4, 1, 1],
      [5],
    ],
  ] as const)("is found as %s", (_, head, weightShape, biasShape) => {
    const { tensor, outputs } = withClasses(modelWith(head), 5);
    expect(tensor("w")?.dims).toEqual(weightShape);
    expect(tensor("b")?.dims).toEqual(biasShape);
    expect(outputs).toEqual(["y float[batch, 5]"]);
  });

  test("gives the declared shapes of a file the new number, and leaves inner ones out", () => {
    const file = fileOf({
      irVersion: 3,
      input: [info("x", ["n", 3]), info("w", [3, 2])],
      output: [info("y", ["n", 2])],
      valueInfo: [info("h", ["n", 2])],
      initializer: [initializer("w", normal("w", [3, 2]))],
      node: [nodeOf("MatMul", ["x", "w"], ["h"]), nodeOf("Identity", ["h"], ["y"])],
    });
    expect(withClasses(file, 4).outputs).toEqual(["y float[n, 4]"]);
  });

  test("of a float16 model is float16 too", () => {
    const { tensor, outputs } = withClasses(halfMlp("float16"), 5);
    expect(tensor("out.weight")?.dims).toEqual([8, 5]);
    expect(outputs).toEqual(["y float16[batch, 5]"]);
  });

  test("has a weight and a bias that Casts are between, as Keras's exporter writes them", () => {
    const { tensor, outputs } = withClasses(
      modelWith((g, h) => {
        const half = tensorOf("float16", normal("w", [4, 2]).numbers(), [4, 2]);
        const product = g.MatMul(h, g.Cast(g.constant(half, "w"), { to: 1 }));
        return g.Add(g.Cast(g.Cast(product, { to: 1 }), { to: 1 }), weight(g, "b", [2]));
      }),
      5,
    );
    expect(tensor("w")?.dims).toEqual([4, 5]);
    expect(tensor("b")?.dims).toEqual([5]);
    expect(outputs).toEqual(["y float[batch, 5]"]);
  });

  test("is one of two heads: that of the output that the loss reads", () => {
    const { tensor, outputs } = withClasses(twoHeads(), 9, { lossInput: "scores" });
    expect(tensor("scores.weight")?.dims).toEqual([5, 9]);
    expect(outputs).toEqual(["scores float[batch, 9]", "box float[batch, 4]"]);
  });

  test.each([
    [
      "a weight that another node reads too",
      (g: Builder, h: Value) => {
        const w = weight(g, "w", [4, 4]);
        return g.MatMul(g.MatMul(h, w), w);
      },
      /^The last layer before y cannot be replaced: the weight of MatMul at MatMul_2 is no constant of its own\.$/,
    ],
    [
      "a fixed number of classes behind it",
      (g: Builder, h: Value) => g.Mul(g.MatMul(h, weight(g, "w", [4, 2])), weight(g, "scale", [2])),
      /cannot be replaced: what follows it needs its number of classes/,
    ],
    [
      "a Reshape that would mix rows",
      (g: Builder, h: Value) => g.Reshape(g.MatMul(h, weight(g, "w", [4, 2])), g.constant(int64s([-1, 2]))),
      /cannot be replaced: its output would be float\[\w+, 2\] in place of float\[batch, 2\]\.$/,
    ],
  ] as const)("is refused with %s", (_, head, message) => {
    expect(() => withClasses(modelWith(head), 5)).toThrow(message);
  });

  test("is refused where it would not be trained, where no layer is found, and without a file", () => {
    expect(() => withClasses(smallCnn(), 7, { trainable: "first.*" })).toThrow(
      "fc.weight is new, and would stay untrained: let trainable name it too, or head.",
    );
    const bare = createBuilder(new Graph("bare"));
    bare.output(bare.Relu(bare.input("x", "float", ["batch", 3])), "y");
    expect(() => withClasses(createModel(bare.graph, {}), 7)).toThrow("no Gemm, MatMul or Conv");
    expect(() => withClasses(smallCnn(), 0)).toThrow("classes must be a whole number from 1, not 0.");
    expect(() => generateArtifacts(smallCnn().graph, { loss: "mse", classes: 4 })).toThrow("not a graph");
  });
});
