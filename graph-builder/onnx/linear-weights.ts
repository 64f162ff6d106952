import type { INode } from "./model.ts";
import type { Message } from "./schema.ts";

/** A list of numbers in an attribute of a node that is a weight. */
export interface AttributeWeight {
  readonly attribute: "coefficients" | "intercepts";
  readonly name: string;
  readonly dims: readonly number[];
}

/** The operators of ai.onnx.ml whose weights are attributes. */
const linearOperators: readonly (string | undefined)[] = ["LinearClassifier", "LinearRegressor"];

/** The name of a weight in an attribute; undefined where the file names no output of the node. */
export function attributeWeightName(
  outputs: readonly string[],
  attribute: AttributeWeight["attribute"],
): string | undefined {
  const output = outputs.findLast((name) => name !== "");
  return output === undefined ? undefined : `${output}.${attribute}`;
}

/** The weights in the attributes of a file's node, each with its name among the parameters. */
export function attributeWeights({ domain, opType, attribute = [], output = [] }: INode): AttributeWeight[] {
  if (domain !== "ai.onnx.ml" || !linearOperators.includes(opType)) return [];
  const given = (name: string) => attribute.find((each) => each.name === name) ?? {};
  const [count, biases] = [given("coefficients"), given("intercepts")].map(
    ({ floats }) => floats?.length ?? 0,
  );
  const rows = rowsOf(given);
  const weight = (name: AttributeWeight["attribute"], dims: readonly number[]) => {
    const own = attributeWeightName(output, name);
    return own === undefined ? [] : [{ attribute: name, name: own, dims }];
  };
  return [
    ...(count ? weight("coefficients", [rows, count / rows]) : []),
    ...(biases ? weight("intercepts", [rows]) : []),
  ];
}

/** How many rows of coefficients there are: one for each class or target. */
function rowsOf(given: (name: string) => Message<"AttributeProto">): number {
  const { ints } = given("classlabels_ints");
  const { strings } = given("classlabels_strings");
  return (ints?.length || strings?.length) ?? Number(given("targets").i ?? 1);
}
