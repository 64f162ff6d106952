/** ONNX's element types, by the names of its textual syntax. */
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

/** A dimension: a number, a symbol such as `batch`, `batch+15` or `ceil(batch/16)`, or a product of both such as `1024*batch`. */
export type Dim = number | string;
export type Shape = readonly Dim[];

export interface TensorType {
  readonly kind: "tensor";
  readonly elemType: DataType;
  readonly shape: Shape;
}

/** A sequence of tensors of one element type and any shapes: how ONNX Runtime's optimizers take all parameters at once. */
export interface SequenceType {
  readonly kind: "sequence";
  readonly elemType: DataType;
}

export type ValueType = TensorType | SequenceType;

/** A tensor type. */
export function tensorType(elemType: DataType, shape: Shape): TensorType {
  return { kind: "tensor", elemType, shape };
}

/** The type in ONNX's textual syntax, for example `float[batch, 16, 32, 32]`. */
export function formatType(type: ValueType): string {
  if (type.kind === "sequence") return `seq(${type.elemType})`;
  return type.shape.length === 0 ? type.elemType : `${type.elemType}[${type.shape.join(", ")}]`;
}

/** Whether two types are the same, symbol by symbol. */
export function sameType(a: ValueType, b: ValueType): boolean {
  if (a.kind !== b.kind || a.elemType !== b.elemType) return false;
  return a.kind === "sequence" || (b.kind === "tensor" && sameShape(a.shape, b.shape));
}

/** Whether two shapes are the same, symbol by symbol. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** The product of dimensions in the normal form `number*symbol*symbol`; 1 for none. */
export function productOf(dims: Shape): Dim {
  let factor = 1;
  const symbols: string[] = [];
  for (const dim of dims) {
    if (typeof dim === "number") factor *= dim;
    else {
      const [first = "", ...rest] = dim.split("*");
      if (/^\d+$/.test(first)) factor *= Number(first);
      else symbols.push(first);
      symbols.push(...rest);
    }
  }
  if (factor === 0 || symbols.length === 0) return factor;
  symbols.sort();
  return (factor === 1 ? symbols : [factor, ...symbols]).join("*");
}

/** `a / b` where it is a whole number or a product of symbols, else undefined. */
export function quotientOf(a: Dim, b: Dim): Dim | undefined {
  const [numerator, denominator] = [monomial(a), monomial(b)];
  if (denominator.factor === 0 || numerator.factor % denominator.factor !== 0) return undefined;
  const symbols = [...numerator.symbols];
  for (const symbol of denominator.symbols) {
    const i = symbols.indexOf(symbol);
    if (i < 0) return undefined;
    symbols.splice(i, 1);
  }
  return productOf([numerator.factor / denominator.factor, ...symbols]);
}

function monomial(dim: Dim): { factor: number; symbols: string[] } {
  if (typeof dim === "number") return { factor: dim, symbols: [] };
  const [first = "", ...rest] = dim.split("*");
  return /^\d+$/.test(first)
    ? { factor: Number(first), symbols: rest }
    : { factor: 1, symbols: [first, ...rest] };
}

/** The number of elements of a shape when each symbol stands for `symbols[symbol]` (or for `fallback` where it has none). */
export function elementCount(
  shape: Shape,
  symbols: Readonly<Record<string, number>> = {},
  fallback = 1,
): number {
  const { factor, symbols: names } = monomial(productOf(shape));
  const size = (name: string) => symbols[name] ?? fallback;
  return names.reduce((count, name) => count * sizeOf(name, size), factor);
}

/** The size that a symbol stands for. */
function sizeOf(symbol: string, size: (name: string) => number): number {
  const [, summand, added] = /^(\w+)\+(\d+)$/.exec(symbol) ?? [];
  if (summand) return size(summand) + Number(added);
  const [, dividend, divisor] = /^ceil\((\w+)\/(\d+)\)$/.exec(symbol) ?? [];
  return dividend ? Math.ceil(size(dividend) / Number(divisor)) : size(symbol);
}
