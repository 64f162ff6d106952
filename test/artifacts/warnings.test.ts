import { describe, expect, test } from "vitest";
import { generateArtifacts } from "../../artifacts/index.ts";
import {
  type Builder,
  createBuilder,
  createModel,
  floats,
  Graph,
  type Value,
} from "../../graph-builder/index.ts";
import { weight } from "../support/artifact-models.ts";

/** The warnings of a model with the input `x` [batch, 3, 4, 4]. */
function warningsOf(build: (g: Builder, x: Value) => Value) {
  const g = createBuilder(new Graph("exported"));
  g.output(build(g, g.input("x", "float", ["batch", 3, 4, 4])), "y");
  return generateArtifacts(createModel(g.graph, {}), { loss: "mse" }).manifest.warnings;
}

/** A convolution that reads constants of these names, and notes what PyTorch's exporter does of it. */
function convolution(g: Builder, X: Value, [filters, bias]: readonly [string, string], rule?: string): Value {
  const Y = g.Conv(X, weight(g, filters, [3, 3, 1, 1]), weight(g, bias, [3]));
  if (rule !== undefined && Y.producer) {
    Y.producer.notes = { metadataProps: { "pkg.onnxscript.rewriter.rule_name": rule } };
  }
  return Y;
}

function normalized(g: Builder, X: Value): Value {
  const [scale, bias, mean] = ["scale", "bias", "mean"].map((name) => weight(g, `bn.${name}`, [3]));
  if (!scale || !bias || !mean) throw new Error("three constants");
  return g.BatchNormalization(X, scale, bias, mean, g.constant(floats([1, 1, 1]), "bn.variance"))[0];
}

const folded =
  "Batch normalisation is folded into the convolutions of this file, so it is trained without it";

describe("a warning of batch normalisation that an exporter has folded", () => {
  test("names the option of PyTorch's older exporter", () => {
    expect(warningsOf((g, x) => convolution(g, x, ["onnx::Conv_7", "onnx::Conv_8"]))).toEqual([
      {
        code: "batch-normalization-folded",
        message: `${folded}: export with training=TrainingMode.PRESERVE and do_constant_folding=False to keep it.`,
        tensors: ["onnx::Conv_7"],
      },
    ]);
  });

  test("names the option of dynamo=True, which notes the rule and keeps the names, also where some is left", () => {
    const rule = "FuseBatchNormIntoConv, RemoveOptionalBiasFromConv";
    const build = (g: Builder, x: Value) => convolution(g, x, ["conv.weight", "conv.weight_bias"], rule);
    const warning = {
      code: "batch-normalization-folded",
      message: `${folded}: export with optimize=False to keep it.`,
      tensors: ["conv.weight"],
    };
    expect(warningsOf(build)).toEqual([warning]);
    expect(warningsOf((g, x) => normalized(g, build(g, x)))).toEqual([warning]);
  });

  test("tells that Keras's exporter has made numbers of it", () => {
    const [warning, ...others] = warningsOf((g, x) => {
      const numbers = (opType: string) => weight(g, `onnx::${opType}_5`, [1, 3, 1, 1]);
      const difference = g.Sub(convolution(g, x, ["filters", "start"]), numbers("Sub"));
      return g.Add(g.Mul(difference, numbers("Mul")), numbers("Add"));
    });
    expect(others).toEqual([]);
    expect(warning).toMatchObject({
      code: "batch-normalization-folded",
      tensors: ["onnx::Sub_5", "onnx::Mul_5", "onnx::Add_5"],
    });
  });

  test("tells that tf2onnx has folded it into convolutions, also where some is left", () => {
    const build = (g: Builder, x: Value) =>
      convolution(g, x, ["net/Conv2D_weights_fused_bn", "net/Conv2D_bias_fused_bn"]);
    const warning = {
      code: "batch-normalization-folded",
      message: `${folded}.`,
      tensors: ["net/Conv2D_weights_fused_bn"],
    };
    expect(warningsOf(build)).toEqual([warning]);
    expect(warningsOf((g, x) => normalized(g, build(g, x)))).toEqual([warning]);
  });

  test("tells that TensorFlow has made numbers of it, and not of a layer normalisation", () => {
    const warnings = (scaleOf: (scale: Value, g: Builder, x: Value) => Value) =>
      warningsOf((g, x) => {
        const numbers = (name: string) => weight(g, name, [1, 3, 1, 1]);
        const factors = [convolution(g, x, ["filters", "bias"]), scaleOf(numbers("const_fold_opt__7"), g, x)];
        const product = g.node("Mul", factors, {}, "bn/batchnorm/mul_1").output(0);
        return g.node("Add", [product, numbers("const_fold_opt__8")], {}, "bn/batchnorm/add_1").output(0);
      });
    expect(warnings((scale) => scale)).toMatchObject([
      { code: "batch-normalization-folded", tensors: ["const_fold_opt__7", "const_fold_opt__8"] },
    ]);
    expect(warnings((scale, g, x) => g.Mul(g.ReduceMean(x), scale))).toEqual([]);
  });

  test("is not given for a convolution with a bias, nor where batch normalisation is a layer", () => {
    expect(warningsOf((g, x) => convolution(g, x, ["conv.weight", "conv.bias"], "FuseReluIntoConv"))).toEqual(
      [],
    );
    expect(warningsOf((g, x) => normalized(g, convolution(g, x, ["onnx::Conv_7", "onnx::Conv_8"])))).toEqual(
      [],
    );
  });
});

describe("a warning of tied weights", () => {
  test("is about layers: a weight whose parts one layer reads together is not tied", () => {
    const warnings = warningsOf((g, x) => {
      const W = weight(g, "gates", [4, 2]);
      const half = (from: number) => g.Slice(W, g.int64([from]), g.int64([from + 2]), g.int64([0]));
      return g.MatMul(x, g.Concat(half(2), half(0), { axis: 0 }));
    });
    expect(warnings).toEqual([]);
  });

  test("names the layers that read one tensor, straight or moved", () => {
    const warnings = warningsOf((g, x) => {
      const W = weight(g, "shared", [4, 4]);
      const moved = g.Transpose(W, { perm: [1, 0] });
      return g.MatMul(g.MatMul(g.MatMul(x, W), moved), moved);
    });
    expect(warnings).toEqual([
      {
        code: "weights-tied",
        message:
          "shared is one tensor for 3 nodes (MatMul_0, MatMul_1, MatMul_2): they stay equal in training.",
        tensors: ["shared"],
      },
    ]);
  });
});
