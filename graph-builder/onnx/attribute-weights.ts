import type { INode } from "./model.ts";
import type { Message } from "./schema.ts";

type IAttribute = Message<"AttributeProto">;
type LinearAttribute = "coefficients" | "intercepts";

/** The operators of ai.onnx.ml whose weights are attributes. */
export const linearOperators: readonly string[] = ["LinearClassifier", "LinearRegressor"];

/** Numbers in an attribute of a node that are a constant of the graph. */
export interface AttributeWeight {
  readonly attribute: LinearAttribute | "value_float" | "value_floats";
  /** The name of the constant. */
  readonly name: string;
  readonly dims: readonly number[];
}

/**
 * The name of a weight that is an attribute of a linear model of ai.onnx.ml; undefined where the file names
 * no output of the node.
 */
export function linearWeightName(outputs: readonly string[], attribute: LinearAttribute): string | undefined {
  const output = outputs.findLast((name) => name !== "");
  return output === undefined ? undefined : `${output}.${attribute}`;
}

/** The numbers in the attributes of a file's node that are constants of the graph: all but tensors. */
export function attributeWeights(node: INode): AttributeWeight[] {
  const { domain = "", opType = "", attribute = [], output: [output = ""] = [] } = node;
  const given = (name: string): IAttribute => attribute.find((each) => each.name === name) ?? {};
  if (domain === "ai.onnx.ml" && linearOperators.includes(opType)) return linearWeights(node, given);
  if (domain !== "" || opType !== "Constant") return [];
  const { floats } = given("value_floats");
  if (floats) return [{ attribute: "value_floats", name: output, dims: [floats.length] }];
  return given("value_float").name ? [{ attribute: "value_float", name: output, dims: [] }] : [];
}

function linearWeights({ output = [] }: INode, given: (name: string) => IAttribute): AttributeWeight[] {
  const rows = rowsOf(given);
  return (["coefficients", "intercepts"] as const).flatMap((attribute) => {
    const name = linearWeightName(output, attribute);
    const count = given(attribute).floats?.length ?? 0;
    if (name === undefined || count === 0) return [];
    return [{ attribute, name, dims: attribute === "intercepts" ? [count] : [rows, count / rows] }];
  });
}

/** How many rows of coefficients there are: one for each class or target. */
function rowsOf(given: (name: string) => IAttribute): number {
  const { ints } = given("classlabels_ints");
  const { strings } = given("classlabels_strings");
  return (ints?.length || strings?.length) ?? Number(given("targets").i ?? 1);
}
