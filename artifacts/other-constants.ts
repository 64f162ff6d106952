import { formatType, type Graph, isHalfType, type Value } from "../graph-builder/index.ts";
import { isMadeUpWeight, isStatistic } from "./model-parameters.ts";

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

function reasonFor(value: Value, reached: ReadonlySet<string> | undefined): string {
  const { name = "", elemType, constant, uses } = value;
  if (isStatistic(value)) return "running statistics of batch normalisation";
  if (elemType === "double") return "double, and only float tensors are trained";
  if (isHalfType(elemType)) return `${elemType}, and no layer reads them as a weight, bias or scale`;
  if (elemType !== "float") return "whole numbers: shapes, axes, indices";
  if (constant?.data.length === 1) return "single numbers";
  const what = isMadeUpWeight(value)
    ? "equal numbers with a name that an exporter made up, read as a bias or scale"
    : "no layer reads them as a weight, bias or scale";
  if (!reached) return what;
  if (!reached.has(name)) return `${what}, and no gradient reaches them`;
  const shared = uses.length > 1 ? ", for all nodes that read it at once" : "";
  return `${what}; each can be trained by its full name${shared}`;
}
