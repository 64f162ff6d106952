import type { Shape, ValueType } from "../types.ts";
import { activations } from "./activations.ts";
import { algebra } from "./algebra.ts";
import { attention } from "./attention.ts";
import { cuda } from "./cuda.ts";
import { elementwise } from "./elementwise.ts";
import { indexing } from "./indexing.ts";
import type { KeptForm } from "./kept.ts";
import { typesSince } from "./late-types.ts";
import { nchwc } from "./nchwc.ts";
import { neural } from "./neural.ts";
import { quantization } from "./quantization.ts";
import { random } from "./random.ts";
import { recurrent } from "./recurrent.ts";
import { reductions } from "./reductions.ts";
import { sampling } from "./sampling.ts";
import type { AttributeSpecs, CompleteAttributes, Names, Operand, Operator } from "./schema.ts";
import { tensors } from "./tensors.ts";
import { training } from "./training.ts";

/** Every operator the project knows, by op_type: ai.onnx 17 and ONNX Runtime's own. */
export const operators = {
  ...elementwise,
  ...activations,
  ...tensors,
  ...indexing,
  ...reductions,
  ...algebra,
  ...neural,
  ...sampling,
  ...attention,
  ...recurrent,
  ...random,
  ...nchwc,
  ...cuda,
  ...training,
  ...quantization,
};

/** The names of all operators. */
export type OpType = keyof typeof operators;

/** A model-local function by its domain and name, such as `com.example.Round` (functions.ts). */
export type FunctionType = `${string}.${string}`;

/** The complete attributes of a node of that op_type; a call of a function has none. */
export type Attributes<K extends OpType | FunctionType> = K extends OpType
  ? CompleteAttributes<(typeof operators)[K]["attributes"]>
  : Readonly<Record<never, never>>;

/** The inputs of any operator, with null for an optional one that is left out. */
export type AnyInputs = readonly (Operand | null)[];
/** The attributes of any operator by their names. */
export type AnyAttributes = Readonly<Record<string, unknown>>;

/**
 * An operator's declaration for code that serves them all: its functions take inputs and attributes of any
 * type. They may be called with what a node of that operator has, which `inferTypes` checks before a node is
 * made.
 */
export interface AnyOperator
  extends Omit<Operator<Names, Names, AttributeSpecs>, "infer" | "contents" | "obligatoryOutputs" | "since"> {
  readonly since?: number | ((attributes: AnyAttributes, inputs: AnyInputs) => number);
  readonly infer: (inputs: AnyInputs, attributes: AnyAttributes) => readonly ValueType[];
  readonly contents?: (inputs: AnyInputs, attributes: AnyAttributes) => readonly (Shape | undefined)[];
  readonly obligatoryOutputs?: (attributes: AnyAttributes) => number;
  /** What a node carries that is kept as its file has it; undefined for the operators of the table. */
  readonly kept?: KeptForm;
}

/**
 * The declaration of an op_type. Throws TypeError for a name that is not in the table. This is the one place
 * where the types of an operator's own inputs and attributes are set aside.
 */
export function operatorOf(opType: string): AnyOperator {
  if (!isOpType(opType)) throw new TypeError(`${opType} is not an operator of the table`);
  return operators[opType] as unknown as AnyOperator;
}

/** What `firstOpset` reads of a node. */
export interface OperatorUse {
  readonly opType: string;
  readonly operator: AnyOperator;
  readonly attributes: AnyAttributes;
  readonly inputs: AnyInputs;
  readonly outputs: readonly Operand[];
}

/** The first opset of ai.onnx that has what a node uses; 0 where it is not later than 11. */
export function firstOpset({ opType, operator, attributes, inputs, outputs }: OperatorUse): number {
  const { domain, since = 0 } = operator;
  const own = typeof since === "number" ? since : since(attributes, inputs);
  if (domain !== "") return own;
  const values = [...inputs.filter((input) => input !== null), ...outputs];
  const types = values.map(({ elemType }) => elemType);
  return Math.max(own, typesSince(opType, types));
}

/** Whether a name is a known op_type. */
export function isOpType(name: string): name is OpType {
  return Object.hasOwn(operators, name);
}
