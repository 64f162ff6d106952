import { DimSymbol } from "./dims.ts";
import { type FunctionDefinition, type Graph, Node, type Phase, Value } from "./ir.ts";
import {
  type AnyOperator,
  type Attributes,
  type FunctionType,
  isOpType,
  type OpType,
  operatorOf,
  operators,
} from "./operators/index.ts";
import { runTimeDim } from "./operators/inference.ts";
import {
  completeAttributes,
  type GivenAttributes,
  type Names,
  ShapeError,
  UnsupportedError,
} from "./operators/schema.ts";
import { floats, int64s, type Tensor } from "./tensor.ts";
import {
  type DataType,
  formatType,
  type GivenShape,
  sameShape,
  sameType,
  tensorType,
  type ValueType,
} from "./types.ts";

type Table = typeof operators;
/** The attributes that a call of an operator may be given. */
export type Given<K extends OpType> = GivenAttributes<Table[K]["attributes"]>;

type WithAttributes<Inputs extends readonly unknown[], A> =
  Record<never, never> extends A ? Inputs | readonly [...Inputs, A] : readonly [...Inputs, A];

/**
 * The ways to call an operator: its inputs in order, trailing optional ones left out or null, then its
 * attributes.
 */
type Arguments<I extends Names, A, Done extends readonly unknown[] = []> = I extends readonly [
  infer First,
  ...infer Rest extends Names,
]
  ? First extends `${string}...`
    ? WithAttributes<readonly [...Done, ...(readonly Value[])], A>
    : First extends `${string}?`
      ? WithAttributes<Done, A> | Arguments<Rest, A, [...Done, Value | null]>
      : Arguments<Rest, A, [...Done, Value]>
  : WithAttributes<Done, A>;

type Results<O extends Names> = O extends readonly [infer Only]
  ? Only extends `${string}...`
    ? readonly Value[]
    : Value
  : { readonly [I in keyof O]: Value };

/** One method per operator; each call appends exactly one node of that op_type. */
export type OperatorMethods = {
  [K in OpType]: (...args: Arguments<Table[K]["inputs"], Given<K>>) => Results<Table[K]["outputs"]>;
};

/** A graph builder with one method for each operator; `createBuilder` makes it. */
export type Builder = GraphBuilder & OperatorMethods;

/** What a node applies its operator to. */
interface Call<K extends OpType | FunctionType> {
  readonly opType: K;
  readonly inputs: readonly (Value | null)[];
  readonly attributes: Attributes<K>;
  readonly declared?: readonly ValueType[] | undefined;
  /** The types of the outputs, where they are known already. */
  readonly types?: readonly ValueType[] | undefined;
}

/** A builder that appends to a graph. */
export function createBuilder(graph: Graph): Builder {
  return new OperatorBuilder(graph) as GraphBuilder as Builder;
}

/**
 * Appends inputs, constants and nodes to a graph and names the nodes by scope:
 * `stage1/block0/branch1/Conv_1`.
 */
export class GraphBuilder {
  readonly graph: Graph;
  #scope: readonly string[] = [];
  #phase: Phase = "forward";
  readonly #counts = new Map<string, number>();
  readonly #paths: Set<string>;
  readonly #constants = new Map<string, Value>();

  constructor(graph: Graph) {
    this.graph = graph;
    this.#paths = new Set(graph.nodes.map((node) => node.name));
  }

  /** Adds a graph input; a dimension that is text is a symbol, such as `batch`. */
  input(name: string, elemType: DataType, shape: GivenShape): Value {
    return this.inputOf(name, tensorType(elemType, shape));
  }

  /** Adds a graph input of any type. */
  inputOf(name: string, type: ValueType): Value {
    const value = new Value(type, { name });
    this.graph.inputs.push(value);
    return value;
  }

  /**
   * Makes a value a graph output under a name; a value that has another name already goes through Identity.
   */
  output(value: Value, name: string): Value {
    const isTaken = value.name !== undefined ? value.name !== name : value.producer === undefined;
    const output = isTaken ? this.node("Identity", [value], {}).output(0) : value;
    output.name = name;
    this.graph.outputs.push(output);
    return output;
  }

  /** A constant; small equal ones without a name are one value. */
  constant(tensor: Tensor, name?: string): Value {
    const type = tensorType(tensor.elemType, tensor.dims);
    if (name !== undefined) return new Value(type, { constant: tensor, name });
    if (tensor.data.length > 64) return new Value(type, { constant: tensor });
    const { key } = tensor;
    const known = this.#constants.get(key);
    if (known) return known;
    const value = new Value(type, { constant: tensor });
    this.#constants.set(key, value);
    return value;
  }

  /** A float constant; a single number is a scalar. */
  float(values: number | readonly number[], dims?: readonly number[]): Value {
    return this.constant(floats(values, dims));
  }

  /** An int64 constant; a single number is a scalar. */
  int64(values: number | readonly number[]): Value {
    return this.constant(int64s(values));
  }

  /** Runs `build` with a name pushed on the scope of node names. */
  scope<T>(name: string, build: () => T): T {
    const outer = this.#scope;
    this.#scope = [...outer, name];
    try {
      return build();
    } finally {
      this.#scope = outer;
    }
  }

  /** Runs `build` with its nodes in a phase; outside of it they are in the forward phase. */
  during<T>(phase: Phase, build: () => T): T {
    const outer = this.#phase;
    this.#phase = phase;
    try {
      return build();
    } finally {
      this.#phase = outer;
    }
  }

  /** Runs `build`. Where it throws, the nodes that it appended are removed. */
  attempt<T>(build: () => T): T {
    const count = this.graph.nodes.length;
    try {
      return build();
    } catch (error) {
      this.graph.remove(new Set(this.graph.nodes.slice(count)));
      throw error;
    }
  }

  /** The name of a node, with a number behind it where another node has it. */
  freePath(name: string): string {
    let free = name;
    for (let i = 1; this.#paths.has(free); i++) free = `${name}_${i}`;
    return free;
  }

  /** Runs `build` with the scope of node names set to `name` alone. */
  within<T>(name: string, build: () => T): T {
    const outer = this.#scope;
    this.#scope = [];
    try {
      return this.scope(name, build);
    } finally {
      this.#scope = outer;
    }
  }

  /**
   * Appends a node, with its attributes' defaults filled in and its output types inferred.
   * Throws ShapeError, with the node's path, where the operator refuses the inputs.
   */
  node<K extends OpType>(
    opType: K,
    inputs: readonly (Value | null)[],
    given: Given<K>,
    name?: string,
  ): Node<K> {
    return this.nodeFrom(opType, inputs, given, name);
  }

  /**
   * Appends a node like `node`, from attributes whose types nobody has checked, such as those of a file.
   * `declared` are the types of its outputs where they cannot be inferred before a run. Throws ShapeError,
   * with the node's path, where the operator refuses the inputs.
   */
  nodeFrom<K extends OpType>(
    opType: K,
    inputs: readonly (Value | null)[],
    given: Readonly<Record<string, unknown>>,
    name?: string,
    declared?: readonly ValueType[],
  ): Node<K> {
    const operator = operatorOf(opType);
    const attributes = completeAttributes(operator.attributes, given) as Attributes<K>;
    return this.#append(operator, { opType, inputs, attributes, declared }, name);
  }

  /**
   * Appends one node that calls a function, and returns its outputs: a value, or as many as the function has.
   * Throws ShapeError, with the node's path, where the inputs do not fit the function's.
   */
  call<I extends Names, O extends Names>(
    definition: FunctionDefinition<I, O>,
    inputs: { readonly [K in keyof I]: Value },
    name?: string,
  ): Results<O> {
    const { outputs } = this.callNode(definition, [...inputs], name);
    return (outputs.length === 1 ? outputs[0] : outputs) as Results<O>;
  }

  /**
   * Appends the node of a call. Throws ShapeError, with its path, where the inputs do not fit the function's.
   */
  callNode(
    definition: FunctionDefinition,
    inputs: readonly (Value | null)[],
    name?: string,
  ): Node<FunctionType> {
    return this.#append(definition, { opType: definition.type, inputs, attributes: {} }, name);
  }

  /** Appends a node of an operator that is not in the table, under its domain and name. */
  nodeOf(operator: AnyOperator, opType: FunctionType, inputs: readonly (Value | null)[], name: string): Node {
    return this.#append(operator, { opType, inputs, attributes: {} }, name);
  }

  /**
   * Appends a node of the same operator as another one over other inputs. Throws ShapeError where they do not
   * fit.
   */
  copy<K extends OpType | FunctionType>(
    node: Node<K>,
    inputs: readonly (Value | null)[],
    name?: string,
    changed: Attributes<K> = node.attributes,
  ): Node<K> {
    const { opType, operator, attributes, declared, outputs } = node;
    const isSame = name === node.name && changed === attributes && areAlike(node.inputs, inputs);
    const types = isSame ? outputs.map(({ type }) => type) : undefined;
    return this.#append(operator, { opType, inputs, attributes: changed, declared, types }, name);
  }

  #append<K extends OpType | FunctionType>(
    operator: AnyOperator | FunctionDefinition,
    { opType, inputs, attributes, declared, types: known }: Call<K>,
    name = this.#nodeName("body" in operator ? operator.opType : opType),
  ): Node<K> {
    const present = inputs.slice(0, inputs.findLastIndex((input) => input !== null) + 1);
    const types = known ?? inferTypes({ opType, operator, name, inputs: present, attributes, declared });
    const node = new Node(opType, name, present, attributes, types, operator, declared);
    node.phase = this.#phase;
    this.graph.nodes.push(node as unknown as Node);
    this.#paths.add(name);
    return node;
  }

  /** Appends a node from a method call's arguments: inputs, then attributes. */
  apply(opType: OpType, args: readonly unknown[]): Value | readonly Value[] {
    const last = args.at(-1);
    const hasAttributes = last !== undefined && last !== null && !(last instanceof Value);
    const inputs = (hasAttributes ? args.slice(0, -1) : args) as readonly (Value | null)[];
    const { outputs } = this.nodeFrom(opType, inputs, hasAttributes ? { ...last } : {});
    const [first] = outputs;
    const [onlyName, ...others] = operatorOf(opType).outputs;
    return first && others.length === 0 && !onlyName?.endsWith("...") ? first : outputs;
  }

  #nodeName(opType: string): string {
    const stem = [...this.#scope, opType].join("/");
    let count = this.#counts.get(stem) ?? 0;
    while (this.#paths.has(`${stem}_${count}`)) count++;
    this.#counts.set(stem, count + 1);
    return `${stem}_${count}`;
  }
}

class OperatorBuilder extends GraphBuilder {}
for (const opType of Object.keys(operators).filter(isOpType)) {
  Object.defineProperty(OperatorBuilder.prototype, opType, {
    value(this: GraphBuilder, ...args: unknown[]) {
      return this.apply(opType, args);
    },
  });
}

/** Whether an operator infers the same types from both inputs. */
function areAlike(before: readonly (Value | null)[], after: readonly (Value | null)[]): boolean {
  const present = after.slice(0, after.findLastIndex((input) => input !== null) + 1);
  return before.length === present.length && before.every((input, i) => isAlike(input, present[i] ?? null));
}

/** Whether two values have the same type and the same known elements. */
function isAlike(a: Value | null, b: Value | null): boolean {
  if (a === b) return true;
  if (!a || !b || a.constant !== b.constant || !sameType(a.type, b.type)) return false;
  if (a.constant || a.contents === b.contents) return true;
  return a.contents !== undefined && b.contents !== undefined && sameShape(a.contents, b.contents);
}

/**
 * The types of a node's outputs. Those that a file declares hold where the operator cannot infer them before
 * a run. Throws ShapeError with the node's path where the inputs do not fit.
 */
export function inferTypes({
  opType,
  operator,
  name,
  inputs,
  attributes,
  declared,
}: Pick<Node, "opType" | "operator" | "name" | "inputs" | "attributes" | "declared">): readonly ValueType[] {
  try {
    expectArity(operator.inputs, inputs);
    expectRequired(operator, attributes);
    return operator
      .infer(inputs, attributes)
      .map((type, i) => withNamedDims(type, `${name}_${i}`, declared?.[i]));
  } catch (error) {
    if (!(error instanceof ShapeError)) throw error;
    if (error instanceof UnsupportedError && declared) return declared;
    const Kind = error instanceof UnsupportedError ? UnsupportedError : ShapeError;
    const types = inputs.map((input) => (input ? formatType(input.type) : "-")).join(", ");
    throw new Kind(`${opType} at ${name}: ${error.message} (inputs: ${types})`, name);
  }
}

/** A type with a symbol, or the size that a file declares, for each size that only a run tells. */
function withNamedDims(type: ValueType, name: string, declared: ValueType | undefined): ValueType {
  if (type.kind !== "tensor" || !type.shape.includes(runTimeDim)) return type;
  const sizes =
    declared?.kind === "tensor" && declared.shape.length === type.shape.length ? declared.shape : [];
  const stem = name.replaceAll(/\W/g, "_").replace(/^(?=\d)/, "_");
  const shape = type.shape.map((dim, axis) =>
    dim === runTimeDim ? (sizes[axis] ?? new DimSymbol(`${stem}_${axis}`)) : dim,
  );
  return tensorType(type.elemType, shape);
}

function expectArity(names: Names, inputs: readonly (Value | null)[]): void {
  const isVariadic = names.at(-1)?.endsWith("...") === true;
  if (inputs.length > names.length && !isVariadic) {
    throw new ShapeError(`takes at most ${names.length} inputs, not ${inputs.length}`);
  }
  for (const [i, name] of names.entries()) {
    if (!inputs[i] && !/(\?|\.\.\.)$/.test(name)) throw new ShapeError(`input ${name} is missing`);
  }
}

function expectRequired(operator: AnyOperator, attributes: Readonly<Record<string, unknown>>): void {
  for (const [name, spec] of Object.entries(operator.attributes)) {
    if (spec.required && attributes[name] === undefined) throw new ShapeError(`attribute ${name} is missing`);
  }
}
