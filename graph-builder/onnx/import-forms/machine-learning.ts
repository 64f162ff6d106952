import type { Builder } from "../../builder.ts";
import type { Value } from "../../ir.ts";
import { dataTypeNumbers } from "../../operators/elementwise.ts";
import { refuse, unsupported } from "../../operators/inference.ts";
import { floats, int64s } from "../../tensor.ts";
import { linearWeightName } from "../attribute-weights.ts";
import { encodeText } from "../attributes.ts";
import { keepTensor } from "../keep.ts";
import { type ForeignNode, type ImportForm, numberList } from "./form.ts";

const domain = "ai.onnx.ml";

/** The first input as float, which is what these operators return. */
function asFloat(g: Builder, [X = null]: readonly (Value | null)[]): Value {
  if (!X) return refuse("input X is missing");
  return X.elemType === "float" ? X : g.Cast(X, { to: dataTypeNumbers.float });
}

/** The numbers of an attribute, one for all columns or one for each. */
function perColumn(g: Builder, name: string, value: unknown): Value {
  const numbers = numberList(name, value);
  return g.constant(floats(numbers, [numbers.length]));
}

/** (X - offset) * scale. */
const scaler: ImportForm["read"] = (g, { inputs, attributes: { offset = [0], scale = [1] } }) => {
  const X = asFloat(g, inputs);
  return [g.Mul(g.Sub(X, perColumn(g, "offset", offset)), perColumn(g, "scale", scale))];
};

/** A number of X that equals `replaced_value_float`, which may be NaN, becomes that of its column. */
const imputer: ImportForm["read"] = (g, { inputs: [X = null], attributes }) => {
  const { replaced_value_float: replaced = 0, imputed_value_floats: imputed } = attributes;
  if (X?.elemType !== "float") return unsupported("only an Imputer of float is supported");
  const number = Number(replaced);
  const isReplaced = Number.isNaN(number) ? g.IsNaN(X) : g.Equal(X, g.float(number));
  return [g.Where(isReplaced, perColumn(g, "imputed_value_floats", imputed), X)];
};

/** The rows of X over their norm; a row of zeros stays as it is, as in ONNX Runtime. */
const normalizer: ImportForm["read"] = (g, { inputs, attributes: { norm = "MAX" } }) => {
  const X = asFloat(g, inputs);
  const options = { axes: [X.shape.length - 1] };
  const norms: Readonly<Record<string, () => Value>> = {
    MAX: () => g.ReduceMax(X, options),
    L1: () => g.ReduceL1(X, options),
    L2: () => g.ReduceL2(X, options),
  };
  const size = norms[String(norm)]?.() ?? refuse(`norm ${norm} is not known`);
  return [g.Div(X, g.Where(g.Equal(size, g.float(0)), g.float(1), size))];
};

/** X W' + b: the weights are the attributes, and have names under which they are trained. */
function linearScores(g: Builder, { inputs, attributes, outputs }: ForeignNode, rows: number): Value {
  const given = asFloat(g, inputs);
  const X = given.shape.length === 1 ? g.Unsqueeze(given, g.int64([0])) : given;
  const { coefficients, intercepts } = attributes;
  const weight = (attribute: "coefficients" | "intercepts", value: unknown, dims?: readonly number[]) => {
    const numbers = numberList(attribute, value);
    return g.constant(floats(numbers, dims), linearWeightName(outputs, attribute));
  };
  const columns = numberList("coefficients", coefficients).length / rows;
  if (!Number.isInteger(columns)) return refuse(`the coefficients do not fill ${rows} rows`);
  const bias = intercepts === undefined ? null : weight("intercepts", intercepts);
  return g.Gemm(X, weight("coefficients", coefficients, [rows, columns]), bias, { transB: 1 });
}

/** What follows the scores; they have a name of their own there, so that a loss can read them. */
function transformed(g: Builder, scores: Value, { attributes, outputs }: ForeignNode): Value {
  const { post_transform: transform = "NONE" } = attributes;
  if (transform === "NONE") return scores;
  // ONNX Runtime leaves a single score as it is, and ONNX does not
  if (scores.shape.at(-1) === 1) return unsupported(`post_transform ${transform} of one score`);
  const output = outputs.at(-1);
  if (output) scores.name = `${output}.scores`;
  if (transform === "SOFTMAX") return g.Softmax(scores);
  if (transform === "LOGISTIC") return g.Sigmoid(scores);
  return unsupported(`post_transform ${transform} is not supported`);
}

/** The labels of the classes, int64 or strings. */
function classLabels(g: Builder, { attributes, name }: ForeignNode): Value {
  const { classlabels_ints: numbers, classlabels_strings: texts } = attributes;
  if (numbers !== undefined) return g.constant(int64s(numberList("classlabels_ints", numbers)));
  if (!Array.isArray(texts)) return refuse("it has neither classlabels_ints nor classlabels_strings");
  const stringData = texts.map((text) => encodeText(String(text)));
  const tensor = { dataType: dataTypeNumbers.string, dims: [texts.length], stringData };
  return keepTensor(g, { ...tensor, name: `${name}/classes` }, new Map());
}

/** The label of the highest score, and the scores after their transform. */
const linearClassifier: ImportForm["read"] = (g, node) => {
  const labels = classLabels(g, node);
  const count = labels.shape[0];
  const { intercepts } = node.attributes;
  const rows = intercepts === undefined ? Number(count) : numberList("intercepts", intercepts).length;
  if (rows === 1) return unsupported("a LinearClassifier of one row of coefficients is not supported");
  if (rows !== count) return refuse(`it has ${count} labels for ${rows} rows of coefficients`);
  const scores = linearScores(g, node, rows);
  const best = g.ArgMax(scores, { axis: 1, keepdims: 0 });
  return [g.Gather(labels, best), transformed(g, scores, node)];
};

const linearRegressor: ImportForm["read"] = (g, node) => {
  const { intercepts, targets = 1 } = node.attributes;
  const rows = Number(targets);
  const biases = intercepts === undefined ? rows : numberList("intercepts", intercepts).length;
  if (biases !== rows) return refuse(`it has ${biases} intercepts for ${rows} targets`);
  return [transformed(g, linearScores(g, node, rows), node)];
};

/** Some columns of X; a vector X is one row. */
const arrayFeatureExtractor: ImportForm["read"] = (g, { inputs: [X, Y] }) => {
  if (!X || !Y) return refuse("it needs X and the indices Y");
  const rows = X.shape.length === 1 ? g.Unsqueeze(X, g.int64([0])) : X;
  return [g.Gather(rows, g.Reshape(Y, g.int64([-1])), { axis: -1 })];
};

/**
 * What scikit-learn's exporter writes around a network (StandardScaler and its kin, SimpleImputer,
 * Normalizer, the choice of columns), and its linear models, whose weights are attributes.
 */
export const machineLearning: readonly ImportForm[] = [
  { domain, opType: "Scaler", read: scaler },
  { domain, opType: "Imputer", read: imputer },
  { domain, opType: "Normalizer", read: normalizer },
  { domain, opType: "ArrayFeatureExtractor", read: arrayFeatureExtractor },
  { domain, opType: "LinearClassifier", read: linearClassifier },
  { domain, opType: "LinearRegressor", read: linearRegressor },
];
