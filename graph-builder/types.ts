import { at } from "./at.ts";
import { type Dim, parseDim, sameDim, sizeOf } from "./dims.ts";
import { ownEntry } from "./own-entry.ts";

/** ONNX's element types, by the names of its textual syntax; `undefined` where a type is not known. */
export type DataType =
  | "float"
  | "float16"
  | "double"
  | "int8"
  | "int16"
  | "int32"
  | "int64"
  | "uint8"
  | "uint16"
  | "uint32"
  | "uint64"
  | "bool"
  | "string"
  | "complex64"
  | "complex128"
  | "undefined"
  | OpaqueType;

/** Element types that are carried as their bits, without arithmetic on them. */
export type OpaqueType =
  | "bfloat16"
  | "float8e4m3fn"
  | "float8e4m3fnuz"
  | "float8e5m2"
  | "float8e5m2fnuz"
  | "float8e8m0"
  | "float4e2m1"
  | "int4"
  | "uint4"
  | "int2"
  | "uint2";

/** Floating-point types of 16 bits. */
export type HalfType = (typeof halfTypes)[number];
export const halfTypes = ["float16", "bfloat16"] as const;

/** Whether an element type is one of floats with 16 bits. */
export function isHalfType(elemType: DataType): elemType is HalfType {
  return halfTypes.some((half) => half === elemType);
}

/** The sizes of a tensor, one for each axis: numbers, symbols, and expressions of symbols. */
export type Shape = readonly Dim[];

/** A shape as a caller may write it, with text for symbols and expressions: `["batch", 3]`. */
export type GivenShape = readonly (Dim | string)[];

/** A tensor of an element type and a shape. */
export interface TensorType {
  readonly kind: "tensor";
  readonly elemType: DataType;
  readonly shape: Shape;
}

/**
 * A sequence of tensors of one element type and any shapes. ONNX Runtime's optimizers take all parameters at
 * once as one.
 */
export interface SequenceType {
  readonly kind: "sequence";
  readonly elemType: DataType;
}

/**
 * A type that is carried as a file has it: an optional, a map, a sparse tensor, a tensor of unknown rank, or
 * no type at all.
 */
export interface OtherType {
  readonly kind: "other";
  readonly elemType: "undefined";
  /** The type in ONNX's textual syntax; empty where the file says none. */
  readonly text: string;
  /** The TypeProto of the file; undefined where it says none. */
  readonly proto: object | undefined;
}

/** The type of a graph's value. */
export type ValueType = TensorType | SequenceType | OtherType;

/** The type of a value of which no type is known. */
export const unknownType: OtherType = { kind: "other", elemType: "undefined", text: "", proto: undefined };

/** A tensor type; `parseDim` reads the dimensions that are text. */
export function tensorType(elemType: DataType, shape: GivenShape): TensorType {
  return { kind: "tensor", elemType, shape: shapeOf(shape) };
}

/** A shape whose dimensions `parseDim` reads where they are text. */
export function shapeOf(dims: GivenShape): Shape {
  return dims.map((dim) => (typeof dim === "string" ? parseDim(dim) : dim));
}

/** The type in ONNX's textual syntax, for example `float[batch, 16, 32, 32]`. */
export function formatType(type: ValueType): string {
  if (type.kind === "sequence") return `seq(${type.elemType})`;
  if (type.kind === "other") return type.text || "unknown";
  return type.shape.length === 0 ? type.elemType : `${type.elemType}[${type.shape.join(", ")}]`;
}

/** Whether two types are the same, symbol by symbol. */
export function sameType(a: ValueType, b: ValueType): boolean {
  if (a === b) return true;
  if (a.kind !== b.kind || a.elemType !== b.elemType) return false;
  if (a.kind === "tensor") return b.kind === "tensor" && sameShape(a.shape, b.shape);
  return a.kind === "sequence" || (b.kind === "other" && a.text === b.text);
}

/** Whether two shapes are the same, symbol by symbol. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => sameDim(dim, at(b, i)));
}

/**
 * The number of elements of a shape when each symbol stands for `symbols[symbol]`, or for `fallback` without
 * one.
 */
export function elementCount(
  shape: Shape,
  symbols: Readonly<Record<string, number>> = {},
  fallback = 1,
): number {
  return shape.reduce<number>(
    (count, dim) => count * sizeOf(dim, (name) => ownEntry(symbols, name) ?? fallback),
    1,
  );
}

/** The element types that are whole numbers of 8 to 64 bits. */
export const integerTypes: ReadonlySet<DataType> = new Set([
  "int8",
  "int16",
  "int32",
  "int64",
  "uint8",
  "uint16",
  "uint32",
  "uint64",
]);
