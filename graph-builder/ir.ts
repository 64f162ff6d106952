import type { Gradient } from "./autodiff/gradients/index.ts";
import type { FlopsRule } from "./cost.ts";
import {
  type AnyOperator,
  type Attributes,
  type FunctionType,
  firstOpset,
  type OpType,
  operatorOf,
} from "./operators/index.ts";
import { type Names, ShapeError, UnsupportedError } from "./operators/schema.ts";
import { projectName } from "./project.ts";
import { isOpaque, type Tensor } from "./tensor.ts";
import { formatType, type Shape, type TensorType, unknownType, type ValueType } from "./types.ts";

/**
 * The doc string, the metadata and the unread fields of a model, a graph, a node or a value. A pass keeps
 * them on everything that it keeps.
 */
export interface Notes {
  readonly docString?: string | undefined;
  readonly metadataProps?: Readonly<Record<string, string>> | undefined;
  /** Fields of the file that this project does not read; they are written back as they were. */
  readonly otherFields?: object | undefined;
}

/** One place where a value is read: the node and the index among its inputs. */
export interface Use {
  readonly node: Node;
  readonly index: number;
}

/**
 * A tensor (or sequence) of a graph. Exactly one of these holds: a node produces it, it is a graph input, or
 * it is an initializer (it has a constant and a name is optional).
 */
export class Value {
  readonly type: ValueType;
  readonly producer: Node | undefined;
  readonly constant: Tensor | undefined;
  /**
   * A name that must appear in the file; values without one are named after their producer when the graph is
   * written.
   */
  name: string | undefined;
  notes: Notes | undefined;
  readonly uses: Use[] = [];
  #contents: Shape | null | undefined;

  constructor(type: ValueType, origin: { producer?: Node; constant?: Tensor; name?: string } = {}) {
    this.type = type;
    this.producer = origin.producer;
    this.constant = origin.constant;
    this.name = origin.name;
  }

  /** The tensor type; throws UnsupportedError where the value is no tensor, or of unknown rank. */
  get tensor(): TensorType {
    if (this.type.kind === "tensor") return this.type;
    throw new UnsupportedError(
      `${this.name ?? "a value"} is ${this.type === unknownType ? "of unknown type" : formatType(this.type)}, not a tensor of known rank`,
    );
  }

  /** The sizes of the tensor, one for each axis. Throws UnsupportedError as `tensor` does. */
  get shape(): TensorType["shape"] {
    return this.tensor.shape;
  }

  /**
   * What is known of its elements before a run: numbers, and symbols of shapes; undefined for floats and
   * where they depend on data.
   */
  get contents(): Shape | undefined {
    this.#contents ??= this.#knownContents() ?? null;
    return this.#contents ?? undefined;
  }

  #knownContents(): Shape | undefined {
    if (this.constant && isOpaque(this.constant.elemType)) return undefined;
    if (this.constant) return this.constant.data.length <= 64 ? this.constant.numbers() : undefined;
    if (this.type.kind === "tensor" && this.type.shape.includes(0)) return [];
    if (!this.producer) return undefined;
    const { operator, inputs, attributes, outputs } = this.producer;
    try {
      return operator.contents?.(inputs, attributes)[outputs.indexOf(this)];
    } catch (error) {
      if (error instanceof ShapeError) return undefined;
      throw error;
    }
  }

  /** The element type of the tensor or the sequence; `undefined` of another type. */
  get elemType(): TensorType["elemType"] {
    return this.type.elemType;
  }
}

/**
 * The part of a training step that a node belongs to: the outputs and the loss, their gradients, or the
 * optimizer's step.
 */
export type Phase = "forward" | "backward" | "update";

/** A model-local function: an operator that stands for a graph of operators. `defineFunction` makes one. */
export interface FunctionDefinition<I extends Names = Names, O extends Names = Names> extends AnyOperator {
  readonly inputs: I;
  readonly outputs: O;
  /** `domain.name`, which is the op_type of a node that calls the function. */
  readonly type: FunctionType;
  /** The name alone. */
  readonly opType: string;
  /**
   * What the function computes. The graph's inputs and outputs are the function's, with the declared types.
   */
  readonly body: Graph;
  /** How a backward pass goes through a call; without one it goes through the body. */
  readonly gradient: Gradient | undefined;
  /** The FLOPs of a call; without one those of the body's nodes. */
  readonly flops: FlopsRule | undefined;
}

/**
 * The body of a Scan as an attribute of its node. The body's inputs are those of ONNX, then the values that
 * it reads from the graph around it: these are the node's last inputs, and a file only names them.
 */
export class Subgraph {
  readonly graph: Graph;
  /** How many values are read from the graph around. */
  readonly captured: number;

  constructor(graph: Graph, captured: number) {
    this.graph = graph;
    this.captured = captured;
  }
}

/** One operator, or one function, applied to values. Attributes are complete: defaults are filled in. */
export class Node<K extends OpType | FunctionType = OpType | FunctionType> {
  readonly opType: K;
  /** The declaration of the operator, or the definition of the function that the node calls. */
  readonly operator: AnyOperator | FunctionDefinition;
  readonly name: string;
  readonly attributes: Attributes<K>;
  readonly inputs: readonly (Value | null)[];
  readonly outputs: readonly Value[];
  /** The types that a file declares for the outputs; they hold where the operator cannot infer them. */
  readonly declared: readonly ValueType[] | undefined;
  phase: Phase = "forward";
  notes: Notes | undefined;

  constructor(
    opType: K,
    name: string,
    inputs: readonly (Value | null)[],
    attributes: Attributes<K>,
    outputTypes: readonly ValueType[],
    operator: AnyOperator | FunctionDefinition = operatorOf(opType),
    declared?: readonly ValueType[],
  ) {
    this.opType = opType;
    this.operator = operator;
    this.name = name;
    this.attributes = attributes;
    this.inputs = inputs;
    this.declared = declared;
    this.outputs = outputTypes.map((type) => new Value(type, { producer: this }));
    for (const [index, input] of inputs.entries()) input?.uses.push({ node: this, index });
  }

  /** The function that the node calls; undefined for an operator. */
  get definition(): FunctionDefinition | undefined {
    return "body" in this.operator ? this.operator : undefined;
  }

  /** The body of a Scan; undefined for other operators. */
  get subgraph(): Subgraph | undefined {
    const { attributes } = this;
    return "body" in attributes && attributes.body instanceof Subgraph ? attributes.body : undefined;
  }

  /** The inputs as a file lists them: without those that a subgraph reads from around it. */
  get listedInputs(): readonly (Value | null)[] {
    return this.inputs.slice(0, this.inputs.length - (this.subgraph?.captured ?? 0));
  }

  /** The input at `index`; throws TypeError where an optional one was left out. */
  input(index: number): Value {
    const value = this.inputs[index];
    if (!value) throw new TypeError(`${this.opType} ${this.name} has no input ${index}`);
    return value;
  }

  /** The output at `index`; throws TypeError where there is none. */
  output(index: number): Value {
    const value = this.outputs[index];
    if (!value) throw new TypeError(`${this.opType} ${this.name} has no output ${index}`);
    return value;
  }
}

/**
 * Whether a node is of one of the operators: `if (isOp(node, "Conv")) node.attributes.group`. It narrows the
 * type of the node, and of its attributes with it, so that no cast is needed.
 */
export function isOp<K extends OpType>(
  node: Node | null | undefined,
  ...opTypes: readonly K[]
): node is Node & Node<K> {
  return opTypes.some((opType) => opType === node?.opType);
}

/** Nodes in topological order between inputs and outputs. */
export class Graph {
  readonly name: string;
  readonly inputs: Value[] = [];
  outputs: Value[] = [];
  nodes: Node[] = [];
  notes: Notes | undefined;

  constructor(name: string) {
    this.name = name;
  }

  /** The constants that the nodes and outputs read, in the order of their first use. */
  get initializers(): Value[] {
    const found = new Set<Value>();
    for (const node of this.nodes) for (const value of node.inputs) if (value?.constant) found.add(value);
    for (const value of this.outputs) if (value.constant) found.add(value);
    return [...found];
  }

  /** Removes nodes whose outputs nothing else reads. */
  remove(nodes: ReadonlySet<Node>): void {
    this.nodes = this.nodes.filter((node) => !nodes.has(node));
    for (const value of [...nodes].flatMap(({ inputs }) => inputs)) {
      const uses = value?.uses.filter(({ node }) => !nodes.has(node)) ?? [];
      value?.uses.splice(0, value.uses.length, ...uses);
    }
  }

  /**
   * The functions that the nodes call, and those that these call in turn, in the order of the first call.
   * Throws Error where two functions have one domain and name.
   */
  functions(): FunctionDefinition[] {
    const found = new Map<FunctionType, FunctionDefinition>();
    const visit = (graph: Graph) => {
      for (const { definition, subgraph } of graph.nodes) {
        if (subgraph) visit(subgraph.graph);
        if (!definition) continue;
        const known = found.get(definition.type);
        if (known && known !== definition) {
          throw new Error(`graph ${this.name} calls two functions named ${definition.type}`);
        }
        found.set(definition.type, definition);
        if (!known) visit(definition.body);
      }
    };
    visit(this);
    return [...found.values()];
  }

  /** The graph, the bodies of the functions that it calls, and the bodies of Scan in all of these. */
  withInnerGraphs(): Graph[] {
    const inner = (graph: Graph): Graph[] => [
      graph,
      ...graph.nodes.flatMap(({ subgraph }) => (subgraph ? inner(subgraph.graph) : [])),
    ];
    return [...inner(this), ...this.functions().flatMap(({ body }) => inner(body))];
  }

  /** The input of that name; throws Error where there is none. */
  input(name: string): Value {
    const value = this.inputs.find((input) => input.name === name);
    if (!value) throw new Error(`graph ${this.name} has no input ${name}`);
    return value;
  }

  /** The output of that name; throws Error where there is none. */
  output(name: string): Value {
    const value = this.outputs.find((output) => output.name === name);
    if (!value) throw new Error(`graph ${this.name} has no output ${name}`);
    return value;
  }
}

/**
 * A graph with what a file says beside it: versions, producer, metadata. Model-local functions follow from
 * the nodes that call them.
 */
export interface Model {
  readonly graph: Graph;
  readonly irVersion: number;
  /** The opset of ai.onnx; the other domains are imported at version 1 where they are used. */
  readonly opset: number;
  readonly producerName: string;
  readonly docString: string;
  readonly metadataProps: Readonly<Record<string, string>>;
  /** Fields of the file that this project does not read; they are written back as they were. */
  readonly otherFields?: object | undefined;
}

/** Whether a value is a graph, or has one as a `Model` has: for programs without types. */
export function hasGraph(given: unknown): boolean {
  if (given instanceof Graph) return true;
  return typeof given === "object" && given !== null && "graph" in given && given.graph instanceof Graph;
}

/**
 * The IR version that came with each opset of ai.onnx (onnx/onnx docs/Versioning.md): what a reader of that
 * opset knows.
 */
const irVersions: Readonly<Record<number, number>> = {
  11: 6,
  12: 7,
  13: 7,
  14: 7,
  15: 8,
  16: 8,
  17: 8,
  18: 8,
  19: 9,
  20: 9,
  21: 10,
  22: 10,
  23: 11,
  24: 12,
  25: 13,
  26: 13,
};

/**
 * The newest IR version that is written, which is the newest that ONNX Runtime 1.30 loads; 1.19.2 loads up to
 * 10. Files up to version 14 are read (onnx/schema.ts).
 */
export const newestRunIrVersion = 13;

/** The IR version that came with an opset of ai.onnx. Throws RangeError for one before 11. */
export function irVersionOf(opset: number): number {
  if (opset < 11) throw new RangeError(`opset ${opset} is before 11`);
  return irVersions[opset] ?? newestRunIrVersion;
}

/** The newest opset of ai.onnx that is released, which is the newest that ONNX Runtime 1.30 loads. */
export const newestRunOpset = Math.max(...Object.keys(irVersions).map(Number));

/** The newest opset of ai.onnx that a reader of an IR version knows. */
export function newestOpset(irVersion: number): number {
  const known = Object.keys(irVersions).map(Number);
  return Math.max(11, ...known.filter((opset) => irVersionOf(opset) <= irVersion));
}

/**
 * The default opset of a graph's file: that of nodes which are kept as their file has them, else 17, the
 * newest that both ONNX Runtime 1.19.2's training and every current runtime know, or the first that has all
 * of its operators.
 */
function defaultOpset(graph: Graph): number {
  const nodes = graph.withInnerGraphs().flatMap((each) => each.nodes);
  const [kept] = nodes.flatMap(({ operator }) => operator.kept?.imports.get("") ?? []);
  if (kept !== undefined) return Math.max(11, kept);
  return nodes.reduce((opset, node) => Math.max(opset, firstOpset(node)), 17);
}

/**
 * A model of an opset and its IR version. Without an opset it is `defaultOpset`. Throws RangeError for an
 * opset before 11.
 */
export function createModel(
  graph: Graph,
  about: {
    docString?: string | undefined;
    metadataProps?: Readonly<Record<string, string>> | undefined;
    opset?: number | undefined;
  } = {},
): Model {
  const { opset = defaultOpset(graph), docString = "", metadataProps = {} } = about;
  return { graph, irVersion: irVersionOf(opset), opset, producerName: projectName, docString, metadataProps };
}
