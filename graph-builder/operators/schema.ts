import type { Subgraph } from "../ir.ts";
import type { Tensor } from "../tensor.ts";
import type { Shape, TensorType, ValueType } from "../types.ts";

/** The domain of an operator, such as `com.microsoft`; ai.onnx is the empty string, as in the files. */
export type Domain = string;

/** The types of attribute values by kind. */
export interface AttributeTypes {
  int: number;
  float: number;
  string: string;
  ints: readonly number[];
  floats: readonly number[];
  strings: readonly string[];
  tensor: Tensor;
  graph: Subgraph;
}
export type AttributeKind = keyof AttributeTypes;

/** An attribute as an operator declares it: its kind, and what it is when left out. */
export interface AttributeSpec<
  Kind extends AttributeKind = AttributeKind,
  Default extends AttributeTypes[Kind] | undefined = AttributeTypes[Kind] | undefined,
  Required extends boolean = boolean,
> {
  readonly kind: Kind;
  readonly default: Default;
  readonly required: Required;
}
export type AttributeSpecs = Readonly<Record<string, AttributeSpec>>;

/** An attribute with a default. */
export function attribute<Kind extends AttributeKind>(
  kind: Kind,
  value: AttributeTypes[Kind],
): AttributeSpec<Kind, AttributeTypes[Kind], false> {
  return { kind, default: value, required: false };
}

/** An attribute that may be left out and then has no value. */
export function optional<Kind extends AttributeKind>(kind: Kind): AttributeSpec<Kind, undefined, false> {
  return { kind, default: undefined, required: false };
}

/** An attribute that must be given. */
export function required<Kind extends AttributeKind>(kind: Kind): AttributeSpec<Kind, undefined, true> {
  return { kind, default: undefined, required: true };
}

type RequiredNames<A extends AttributeSpecs> = {
  [N in keyof A]: A[N]["required"] extends true ? N : never;
}[keyof A];

/** The attributes as a caller gives them. */
export type GivenAttributes<A extends AttributeSpecs> = {
  readonly [N in RequiredNames<A>]: AttributeTypes[A[N]["kind"]];
} & { readonly [N in Exclude<keyof A, RequiredNames<A>>]?: AttributeTypes[A[N]["kind"]] | undefined };

/** The attributes as a node keeps them, defaults filled in. */
export type CompleteAttributes<A extends AttributeSpecs> = {
  readonly [N in keyof A]: A[N] extends AttributeSpec<infer Kind, infer Default, infer Required>
    ? Required extends true
      ? AttributeTypes[Kind]
      : Default extends undefined
        ? AttributeTypes[Kind] | undefined
        : AttributeTypes[Kind]
    : never;
};

/**
 * Inputs and outputs are declared by ONNX's names: `X` is required, `B?` may be left out, `inputs...` is any
 * number of them.
 */
export type Names = readonly string[];

/**
 * What type inference may know of an input: its type, its constant or what is known of its elements, and the
 * node it comes from.
 */
export interface Operand {
  readonly type: ValueType;
  readonly tensor: TensorType;
  readonly shape: Shape;
  readonly elemType: TensorType["elemType"];
  readonly constant: Tensor | undefined;
  /** What is known of its elements before a run (contents.ts). */
  readonly contents: Shape | undefined;
  readonly producer: { readonly opType: string; input(index: number): Operand } | undefined;
}

/** The inputs as a caller gives them, in order; `V` is what stands for a value. */
export type GivenInputs<I extends Names, V> = I extends readonly [infer First, ...infer Rest extends Names]
  ? First extends `${string}...`
    ? readonly V[]
    : First extends `${string}?`
      ? readonly [(V | null)?, ...GivenInputs<Rest, V>]
      : readonly [V, ...GivenInputs<Rest, V>]
  : readonly [];

/**
 * What an operator is: names, attributes and the types of its outputs, all as ONNX or ONNX Runtime define
 * them.
 */
export interface Operator<
  I extends Names = Names,
  O extends Names = Names,
  A extends AttributeSpecs = AttributeSpecs,
> {
  readonly domain: Domain;
  /** The op_type in files, where the name here is another. */
  readonly opType?: string;
  /**
   * The first opset of ai.onnx that has it, with these attributes and inputs, where that is later than 11.
   */
  readonly since?:
    | number
    | ((attributes: CompleteAttributes<A>, inputs: readonly (Operand | null)[]) => number);
  readonly inputs: I;
  readonly outputs: O;
  readonly attributes: A;
  /**
   * How many outputs a file must name even where nothing reads them; those without "?", and all of a list,
   * where left out.
   */
  readonly obligatoryOutputs?: (attributes: CompleteAttributes<A>) => number;
  /** Whether two calls with the same inputs can give different results. */
  readonly isRandom?: boolean;
  /** The output types from the inputs; throws ShapeError where the inputs do not fit. */
  readonly infer: (
    inputs: GivenInputs<I, Operand>,
    attributes: CompleteAttributes<A>,
  ) => readonly ValueType[];
  /**
   * What is known of the outputs' elements before a run, where shapes are computed with this operator
   * (contents.ts).
   */
  readonly contents?: (
    inputs: GivenInputs<I, Operand>,
    attributes: CompleteAttributes<A>,
  ) => readonly (Shape | undefined)[];
}

/** Declares an operator; the types of its inputs, outputs and attributes follow from the declaration. */
export function operator<const I extends Names, const O extends Names, const A extends AttributeSpecs>(
  spec: Omit<Operator<I, O, A>, "domain" | "attributes"> & {
    readonly domain?: Domain;
    readonly attributes?: A;
  },
): Operator<I, O, A> {
  return { domain: "", attributes: {} as A, ...spec };
}

/** The attributes with the defaults of those not given. */
export function completeAttributes<A extends AttributeSpecs>(
  specs: A,
  given: Readonly<Record<string, unknown>>,
): CompleteAttributes<A> {
  const entries = Object.entries(specs).map(([name, spec]) => [name, given[name] ?? spec.default]);
  return Object.fromEntries(entries) as CompleteAttributes<A>;
}

/**
 * An operator refuses its inputs. Code that knows the node adds the node's path to the message and as `path`.
 */
export class ShapeError extends Error {
  override readonly name: string = "ShapeError";
  readonly path: string | undefined;

  constructor(message: string, path?: string) {
    super(message);
    this.path = path;
  }
}

/**
 * The types of a node's outputs are not known before a run: they depend on elements that are not known, or on
 * a form of the operator that is not covered. The node itself may be valid.
 */
export class UnsupportedError extends ShapeError {
  override readonly name = "UnsupportedError";
}
