import { floats, int64s } from "../../graph-builder/index.ts";
import type { ForeignNode } from "./foreign-node.ts";
import type { LayerNode } from "./layer-nodes.ts";
import { apart, type Input, integers, normal } from "./random-tensor.ts";

const domain = "ai.onnx.ml";

function node(
  opType: string,
  title: string,
  attributes: NonNullable<ForeignNode["attributes"]>,
  more: Partial<ForeignNode> = {},
  test: LayerNode["test"] = {},
): LayerNode {
  const inputs: ForeignNode["inputs"] = [["X", normal(["batch", 3])]];
  return { title, node: { opType, domain, opset: 1, inputs, attributes, ...more }, test };
}

const three = {
  coefficients: ["floats", [0.5, -1, 0.25, 1, 0.75, -0.5, -2, 0.1, 0.3]],
  intercepts: ["floats", [0.1, -0.2, 0.3]],
  classlabels_ints: ["ints", [7, 8, 9]],
} as const;

const classifiers: readonly LayerNode[] = [
  ...["NONE", "SOFTMAX", "LOGISTIC"].flatMap((transform) => {
    const attributes = { ...three, post_transform: ["string", transform] } as const;
    const title = `three classes and ${transform}`;
    return [
      node("LinearClassifier", title, attributes, { outputs: ["label", "Z"] }, { gradient: false }),
      // ONNX Runtime wants the label too, which has no gradient
      node(
        "LinearClassifier",
        `${title}, scores alone`,
        attributes,
        { outputs: [null, "Z"] },
        { kernel: false },
      ),
    ];
  }),
  node(
    "LinearClassifier",
    "whole numbers in one row",
    three,
    { inputs: [["X", integers([4, -1, 2])]], outputs: ["label", "Z"] },
    { gradient: false },
  ),
];

const regressors: readonly LayerNode[] = [
  node("LinearRegressor", "one target", {
    coefficients: ["floats", [1, -2, 3]],
    intercepts: ["floats", [0.5]],
  }),
  node("LinearRegressor", "without an intercept", { coefficients: ["floats", [1, -2, 3]] }),
  node("LinearRegressor", "two targets and SOFTMAX", {
    coefficients: ["floats", [1, -2, 3, 0.5, 0.25, -1]],
    intercepts: ["floats", [0.5, 1]],
    targets: ["int", 2],
    post_transform: ["string", "SOFTMAX"],
  }),
];

/** Rows with one largest element, which is positive. */
const rows: Input = { shape: [2, 3], tensor: floats([1, 2.5, -3, 3, 0.5, 0.25], [2, 3]) };

/** Operators of ai.onnx.ml that are read. */
export const machineLearningNodes: readonly LayerNode[] = [
  ...classifiers,
  ...regressors,
  node("Scaler", "by column", { offset: ["floats", [1, -2, 0]], scale: ["floats", [0.5, 3, 1]] }),
  node("Imputer", "a number", {
    imputed_value_floats: ["floats", [1, 2, 3]],
    replaced_value_float: ["float", 7],
  }),
  ...["L1", "L2"].map((norm) =>
    node("Normalizer", norm, { norm: ["string", norm] }, { inputs: [["X", apart(["batch", 4])]] }),
  ),
  node("Normalizer", "MAX", { norm: ["string", "MAX"] }, { inputs: [["X", rows]] }),
  node(
    "Normalizer",
    "a row of zeros",
    { norm: ["string", "L2"] },
    { inputs: [["X", floats([0, 0, 3, 4], [2, 2])]] },
    { gradient: false },
  ),
  node(
    "ArrayFeatureExtractor",
    "columns of a matrix",
    {},
    {
      inputs: [
        ["X", normal(["batch", 3])],
        ["indices", int64s([2, 0, 2], [3])],
      ],
    },
  ),
  node(
    "ArrayFeatureExtractor",
    "elements of a vector",
    {},
    {
      inputs: [
        ["X", normal([4])],
        ["indices", int64s([1, 3], [2, 1])],
      ],
    },
  ),
];
