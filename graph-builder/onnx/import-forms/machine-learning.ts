import type { Builder } from "../../builder.ts";
import type { Value } from "../../ir.ts";
import { dataTypeNumbers } from "../../operators/elementwise.ts";
import { refuse, unsupported } from "../../operators/inference.ts";
import { floats } from "../../tensor.ts";
import { type ImportForm, numberList } from "./form.ts";

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

/** What scikit-learn puts in front of a network: StandardScaler and its kin, SimpleImputer. */
export const machineLearning: readonly ImportForm[] = [
  { domain, opType: "Scaler", read: scaler },
  { domain, opType: "Imputer", read: imputer },
];
