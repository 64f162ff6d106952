import { cuda } from "./cuda.ts";
import { elementwise } from "./elementwise.ts";
import { nchwc } from "./nchwc.ts";
import { neural } from "./neural.ts";
import { quantization } from "./quantization.ts";
import type { AttributeSpecs, CompleteAttributes, Names, Operator } from "./schema.ts";
import { shakenet } from "./shakenet.ts";
import { tensors } from "./tensors.ts";
import { training } from "./training.ts";

/** Every operator the project knows, by op_type: ai.onnx 17, ONNX Runtime's training operators, and shakenet's own functions. */
export const operators = {
  ...elementwise,
  ...tensors,
  ...neural,
  ...nchwc,
  ...cuda,
  ...training,
  ...quantization,
  ...shakenet,
};

export type OpType = keyof typeof operators;

/** The complete attributes of a node of that op_type. */
export type Attributes<K extends OpType> = CompleteAttributes<(typeof operators)[K]["attributes"]>;

/** An operator's declaration with the types of its own attributes set aside, for code that serves them all. */
export type AnyOperator = Operator<Names, Names, AttributeSpecs>;

/** The declaration of an op_type. */
export function operatorOf(opType: OpType): AnyOperator {
  return operators[opType] as unknown as AnyOperator;
}

/** Whether a name is a known op_type. */
export function isOpType(name: string): name is OpType {
  return Object.hasOwn(operators, name);
}
