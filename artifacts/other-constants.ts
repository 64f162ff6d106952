import { formatType, type Graph, type Value } from "../graph-builder/index.ts";
import { isStatistic } from "./model-parameters.ts";

/** A named constant that is no parameter. */
export interface OtherConstant {
  readonly name: string;
  readonly type: string;
  /** Why, as a phrase. */
  readonly reason: string;
}

/**
 * The named constants of a graph without its parameters, which have the given names. `reached`, where it is
 * known, has the names of those that a loss can train.
 */
export function otherConstants(
  graph: Graph,
  parameters: ReadonlySet<string>,
  reached?: ReadonlySet<string>,
): OtherConstant[] {
  return graph.initializers.flatMap((value) => {
    const { name, type } = value;
    if (name === undefined || parameters.has(name)) return [];
    return [{ name, type: formatType(type), reason: reasonFor(value, reached) }];
  });
}

const halves: readonly string[] = ["float16", "bfloat16"];

function reasonFor(value: Value, reached: ReadonlySet<string> | undefined): string {
  const { name = "", elemType, constant } = value;
  if (isStatistic(value)) return "running statistics of batch normalisation";
  if (elemType === "double") return "double, and only float tensors are trained";
  if (halves.includes(elemType)) return `${elemType}, and no layer reads them as a weight, bias or scale`;
  if (elemType !== "float") return "whole numbers: shapes, axes, indices";
  if (constant?.data.length === 1) return "single numbers";
  const unread = "no layer reads them as a weight, bias or scale";
  if (!reached) return unread;
  return reached.has(name)
    ? `${unread}; each can be trained by its full name`
    : `${unread}, and no gradient reaches them`;
}
