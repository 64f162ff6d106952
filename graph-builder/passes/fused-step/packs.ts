import { elementCount } from "../../types.ts";

/** A tensor in a pack. */
export interface PackMember {
  readonly name: string;
  readonly dims: readonly number[];
}

/**
 * Tensors of one role as the rows of one matrix, one tensor after the other. Rows and not numbers are joined
 * and cut, because ONNX Runtime's Concat and Split on CUDA make a table of the joined axis in every call: 25
 * ms of a step with 2.9 million numbers.
 */
export interface Pack {
  /** The matrix's input, float [rows, width]; the output is `<name>_next`. */
  readonly name: string;
  /** The length of a row: a divisor of the size of every member. */
  readonly width: number;
  readonly members: readonly PackMember[];
}

/** The rows of the matrix. */
export function rowsOf({ members, width }: Pack): number {
  return members.reduce((rows, { dims }) => rows + elementCount(dims) / width, 0);
}

/** The greatest common divisor of the sizes of all members. */
export function divisorOf(members: readonly PackMember[]): number {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));
  return members.reduce((width, { dims }) => divisor(width, elementCount(dims)), 0);
}
