import type { Gradient } from "./autodiff/gradients/index.ts";
import { type Builder, createBuilder } from "./builder.ts";
import { checkGraph, GraphError } from "./checker.ts";
import type { FlopsRule } from "./cost.ts";
import { type Dim, DimSymbol } from "./dims.ts";
import { type FunctionDefinition, Graph, type Node, Value } from "./ir.ts";
import type { FunctionType } from "./operators/index.ts";
import { dimAt, mayEqual, refuse } from "./operators/inference.ts";
import type { Operand } from "./operators/schema.ts";
import { formatType, type Shape, sameType, type TensorType } from "./types.ts";

/** The symbol in a declared shape that stands for any number of dimensions. */
const ANY = "...";

/** The inputs or outputs of a function, each with its type. */
export type Signature = readonly (readonly [name: string, type: TensorType])[];

/** The names in a signature, in order. */
export type NamesOf<S extends Signature> = { readonly [K in keyof S]: S[K][0] };
/** A value for each name in a signature. */
export type ValuesOf<S extends Signature> = { readonly [K in keyof S]: Value };

/** What a function of one's own is. */
export interface FunctionSpec<I extends Signature, O extends Signature> {
  /** Such as `com.example`; ai.onnx is not for functions of one's own. */
  readonly domain: string;
  /** PascalCase, as op_types are. */
  readonly name: string;
  /**
   * A symbol stands for one size in all inputs of a call, and a dimension of 1 fits every symbol. The symbol
   * `...` stands for any number of dimensions, for a body that works on any shape.
   */
  readonly inputs: I;
  readonly outputs: O;
  /** Appends the nodes that compute the outputs. It is called once, with inputs of the declared types. */
  readonly body: (g: Builder, inputs: ValuesOf<I>) => ValuesOf<O>;
  /** The gradient as a rule like any operator's; without one a backward pass goes through the body. */
  readonly gradient?: Gradient;
  /** The FLOPs of a call, where they are not those of the body. */
  readonly flops?: FlopsRule;
}

/**
 * Defines a model-local function. `g.call(definition, inputs)` appends a call of it: one node, with the types
 * that the body makes of the call's inputs. Throws GraphError where the body is broken or makes other types
 * than the declared ones.
 */
export function defineFunction<const I extends Signature, const O extends Signature>(
  spec: FunctionSpec<I, O>,
): FunctionDefinition<NamesOf<I>, NamesOf<O>> {
  const { domain, name, gradient, flops } = spec;
  const type: FunctionType = `${domain}.${name}`;
  const body = buildBody(type, spec);
  const definition: FunctionDefinition<NamesOf<I>, NamesOf<O>> = {
    type,
    domain,
    opType: name,
    inputs: namesOf(spec.inputs),
    outputs: namesOf(spec.outputs),
    attributes: {},
    isRandom: body.nodes.some(({ operator }) => operator.isRandom === true),
    body,
    gradient,
    flops,
    infer: (operands: readonly (Operand | null)[]) => {
      expectTypes(body.inputs, operands);
      return bodyOver(definition, operands).outputs.map((output) => output.type);
    },
  };
  return definition;
}

/** Appends the nodes of a function's body, over the inputs of a call, and returns its outputs. */
export function appendBody(
  g: Builder,
  { type, body }: FunctionDefinition,
  inputs: readonly (Value | null)[],
): readonly Value[] {
  const values = new Map(body.inputs.map((input, i) => [input, inputs[i] ?? null]));
  const translate = (value: Value) => {
    if (value.constant) return g.constant(value.constant);
    const known = values.get(value);
    if (!known) throw new Error(`a call of ${type} lacks the input ${value.name}`);
    return known;
  };
  for (const node of body.nodes) {
    const copied = appendCopy(
      g,
      node,
      node.inputs.map((input) => input && translate(input)),
    );
    copied.notes = node.notes;
    for (const [i, output] of node.outputs.entries()) values.set(output, copied.output(i));
  }
  return body.outputs.map(translate);
}

/** The body of a function as a graph of its own, over inputs of the types of a call's. */
export function bodyOver(definition: FunctionDefinition, operands: readonly (Operand | null)[]): Graph {
  const g = createBuilder(new Graph(definition.opType));
  const inputs = operands.map(
    (operand) => operand && new Value(operand.type, operand.constant ? { constant: operand.constant } : {}),
  );
  g.graph.outputs = [...appendBody(g, definition, inputs)];
  return g.graph;
}

/** The node under a name that is free, in the scope that it has in its body. */
function appendCopy(g: Builder, node: Node, inputs: readonly (Value | null)[]): Node {
  const scopes = node.name.split("/").slice(0, -1);
  return scopes.reduceRight(
    (build: () => Node, scope) => () => g.scope(scope, build),
    () => g.copy(node, inputs),
  )();
}

function buildBody<I extends Signature, O extends Signature>(
  type: FunctionType,
  { name, inputs, outputs, body }: FunctionSpec<I, O>,
): Graph {
  const g = createBuilder(new Graph(name));
  const values = inputs.map(([input, { elemType, shape }]) => g.input(input, elemType, shape));
  const results: readonly Value[] = body(g, values as ValuesOf<I>);
  if (results.length !== outputs.length) {
    throw new GraphError(`function ${type}: its body makes ${results.length} outputs, not ${outputs.length}`);
  }
  for (const [i, [output, declared]] of outputs.entries()) {
    const value = results[i];
    if (!value) continue;
    if (!sameType(value.type, declared)) {
      throw new GraphError(
        `function ${type}: its body makes ${output} as ${formatType(value.type)}, and it is declared as ${formatType(declared)}`,
      );
    }
    g.output(value, output);
  }
  try {
    checkGraph(g.graph);
  } catch (error) {
    throw new GraphError(`function ${type}: ${(error as Error).message}`);
  }
  return g.graph;
}

function namesOf<S extends Signature>(signature: S): NamesOf<S> {
  return signature.map(([name]) => name) as NamesOf<S>;
}

/** Refuses the inputs of a call that do not fit the declared ones. */
function expectTypes(declared: readonly Value[], operands: readonly (Operand | null)[]): void {
  const sizes = new Map<string, Dim>();
  for (const [i, { name, tensor }] of declared.entries()) {
    const actual = operands[i]?.type;
    if (!actual || (actual.kind === "tensor" && fits(tensor, actual, sizes))) continue;
    const known = [...sizes].filter(([symbol]) => !symbol.startsWith(ANY));
    const where = known.length > 0 ? ` where ${known.map((size) => size.join(" is ")).join(" and ")}` : "";
    refuse(`input ${name} must be ${formatType(tensor)}${where}, not ${formatType(actual)}`);
  }
}

/**
 * Whether a type fits a declared one, given the sizes of the symbols in the inputs before, to which it adds
 * its own.
 */
function fits(declared: TensorType, { elemType, shape }: TensorType, sizes: Map<string, Dim>): boolean {
  const dims = spread(declared.shape, shape.length);
  if (elemType !== declared.elemType || dims.length !== shape.length) return false;
  return dims.every((dim, i) => {
    const actual = dimAt(shape, i);
    if (typeof dim === "number") return mayEqual(dim, actual);
    if (actual === 1) return true;
    const known = sizes.get(String(dim));
    if (known === undefined) sizes.set(String(dim), actual);
    return known === undefined || mayEqual(known, actual);
  });
}

/**
 * A declared shape with as many symbols for `...` as give it that rank, counted from the last as broadcasting
 * does.
 */
function spread(declared: Shape, rank: number): Shape {
  const count = Math.max(0, rank - declared.length + 1);
  return declared.flatMap((dim) =>
    String(dim) === ANY
      ? Array.from({ length: count }, (_, i) => new DimSymbol(`${ANY}${count - i}`))
      : [dim],
  );
}
