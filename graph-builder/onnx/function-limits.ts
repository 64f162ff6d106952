import { functionKey } from "./functions.ts";
import { canonicalDomain } from "./opset-imports.ts";
import type { Message } from "./schema.ts";
import { graphsOf } from "./subgraphs.ts";

type IFunction = Message<"FunctionProto">;
type INode = Message<"NodeProto">;
type IModel = Message<"ModelProto"> & { readonly graph: Message<"GraphProto"> };

/** As many nodes may the calls of functions in a file stand for: the largest public models have a tenth. */
const MOST_WRITTEN_OUT = 250_000;

/** As deep may calls lie inside calls: each takes a part of the program's stack. */
const DEEPEST_CALL = 200;

/**
 * Why the functions of a file cannot be written out, or undefined where they can. Forty functions of two
 * nodes, each of which calls the next one twice, stand for 2^40 nodes: they are counted before a node is
 * written out, by this project or by ONNX Runtime. A function that calls itself is left to the reader.
 */
export function tooManyCalls({ graph, functions = [] }: IModel): string | undefined {
  if (functions.length === 0) return undefined;
  const bodies = new Map(functions.map((each) => [keyOf(each), each.node ?? []]));
  const sizes = new Map<string, number>();
  let isTooDeep = false;
  const count = (nodes: readonly INode[], depth: number): number => {
    isTooDeep ||= depth > DEEPEST_CALL;
    if (isTooDeep) return 0;
    let sum = 0;
    for (const { domain, opType = "", overload, attribute = [] } of nodes) {
      const key = functionKey(canonicalDomain(domain), opType, overload);
      sum += bodies.has(key) ? sizeOf(key, depth) : 1;
      for (const inner of graphsOf(attribute)) sum += count(inner.node ?? [], depth);
    }
    return sum;
  };
  const sizeOf = (key: string, depth: number): number => {
    const known = sizes.get(key);
    if (known !== undefined) return known;
    sizes.set(key, 0);
    const size = count(bodies.get(key) ?? [], depth + 1);
    sizes.set(key, size);
    return size;
  };
  const written = count(graph.node ?? [], 0);
  if (isTooDeep) return `its functions call each other ${DEEPEST_CALL} deep and deeper`;
  if (written <= MOST_WRITTEN_OUT) return undefined;
  return `its functions stand for more than ${MOST_WRITTEN_OUT.toLocaleString("en-US")} nodes`;
}

function keyOf({ domain, name = "", overload }: IFunction): string {
  return functionKey(canonicalDomain(domain), name, overload);
}
