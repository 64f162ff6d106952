import type { FunctionDefinition, Value } from "../ir.ts";
import { canonicalDomain } from "./opset-imports.ts";
import type { Message } from "./schema.ts";

type IAttribute = Message<"AttributeProto">;
type IGraph = Message<"GraphProto">;
type IFunction = Message<"FunctionProto">;
type INode = Message<"NodeProto">;

/**
 * The functions of a file by `functionKey`: those whose definitions are known as these, the others as the
 * file has them.
 */
export type FileFunctions = ReadonlyMap<string, FunctionDefinition | IFunction>;

/**
 * What a node inside a function's body depends on besides the function; at the graph's own nodes everything
 * is empty.
 */
export interface Caller {
  /** The name of the call, under which the body's nodes are named. */
  readonly path: string;
  /** The names of the functions around it, the outermost first. */
  readonly functions: readonly string[];
  /** The attributes of the call, which nodes of the body may refer to. */
  readonly attributes: ReadonlyMap<string, IAttribute>;
}

/** The graph's own nodes are in no function. */
export const noCaller: Caller = { path: "", functions: [], attributes: new Map() };

/** A node of a file that calls a function. */
export interface CallNode {
  readonly name: string;
  readonly inputs: readonly (Value | null)[];
  readonly attributes: readonly IAttribute[];
}

/**
 * What a node calls, or what a function is called: domain, name and, where several share these, the overload.
 */
export function functionKey(domain: string, name: string, overload = ""): string {
  return overload === "" ? `${domain}.${name}` : `${domain}.${name}:${overload}`;
}

function keyOf({ domain, name = "", overload }: IFunction): string {
  return functionKey(canonicalDomain(domain), name, overload);
}

/**
 * The functions of a file, and the definitions that a reader knows. One is the other where both have the same
 * body, and where a file calls a known function without having it. Throws Error where the file has two
 * functions of one name.
 */
export function fileFunctions(
  functions: readonly IFunction[],
  known: readonly FunctionDefinition[],
  isSame: (proto: IFunction, definition: FunctionDefinition) => boolean,
): FileFunctions {
  const definitions = new Map(
    known.map((definition) => [functionKey(definition.domain, definition.opType), definition]),
  );
  const found = new Map<string, FunctionDefinition | IFunction>(definitions);
  const seen = new Set<string>();
  for (const proto of functions) {
    const key = keyOf(proto);
    if (seen.has(key)) throw new Error(`it has two functions named ${key}`);
    seen.add(key);
    const definition = definitions.get(key);
    if (!definition || !isSame(proto, definition)) found.set(key, proto);
  }
  return found;
}

/**
 * Appends what a call of a function in a file stands for: the nodes of its body, which `decodeNode` appends.
 * Returns the outputs. Throws Error where the function calls itself, and where the call does not fit it.
 */
export function inlineCall(
  proto: IFunction,
  { name, inputs, attributes }: CallNode,
  caller: Caller,
  decodeNode: (node: INode, values: Map<string, Value | null>, caller: Caller) => void,
): readonly (Value | null)[] {
  const { input = [], output = [], node = [], attributeProto = [] } = proto;
  const key = keyOf(proto);
  if (caller.functions.includes(key)) {
    const way = caller.functions.slice(caller.functions.indexOf(key) + 1);
    const by = way.length > 0 ? ` by way of ${way.join(", ")}` : "";
    throw new Error(`function ${key} at ${name} calls itself${by}, and a function must not`);
  }
  if (inputs.length > input.length) {
    throw new Error(`${key} at ${name} has ${inputs.length} inputs, and the function takes ${input.length}`);
  }
  const values = new Map(input.map((formal, i) => [formal, inputs[i] ?? null]));
  const inner: Caller = {
    path: name,
    functions: [...caller.functions, key],
    attributes: new Map([...attributeProto, ...attributes].map((each) => [each.name ?? "", each])),
  };
  for (const each of node) decodeNode(each, values, inner);
  return output.map((formal) => {
    const value = values.get(formal);
    if (value === undefined) throw new Error(`function ${key} does not make its output ${formal}`);
    return value;
  });
}

/**
 * The attributes of a node with those of the call in the place of references to them, in the graphs of its
 * attributes too; a reference to none is left out.
 */
export function resolveAttributes(given: readonly IAttribute[], caller: Caller): IAttribute[] {
  return given.flatMap((attribute) => {
    const { refAttrName, name, g, graphs } = attribute;
    if (refAttrName) {
      const referred = caller.attributes.get(refAttrName);
      return referred ? [{ ...referred, name }] : [];
    }
    if (caller.attributes.size === 0 || !(g || graphs)) return [attribute];
    const resolved = graphs?.map((graph) => resolveGraph(graph, caller));
    return [
      {
        ...attribute,
        ...(g ? { g: resolveGraph(g, caller) } : {}),
        ...(resolved ? { graphs: resolved } : {}),
      },
    ];
  });
}

function resolveGraph(graph: IGraph, caller: Caller): IGraph {
  const node = graph.node?.map((each) => ({
    ...each,
    attribute: resolveAttributes(each.attribute ?? [], caller),
  }));
  return { ...graph, ...(node ? { node } : {}) };
}
