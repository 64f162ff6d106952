import type { DataType, OpaqueType } from "./types.ts";

const arrays = {
  float: Float32Array,
  float16: Uint16Array,
  double: Float64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
  bfloat16: Uint16Array,
  float8e4m3fn: Uint8Array,
  float8e4m3fnuz: Uint8Array,
  float8e5m2: Uint8Array,
  float8e5m2fnuz: Uint8Array,
  float8e8m0: Uint8Array,
  float4e2m1: Uint8Array,
  int4: Uint8Array,
  uint4: Uint8Array,
  int2: Uint8Array,
  uint2: Uint8Array,
} as const;

/**
 * How many elements one entry of a type's array holds: small ones are packed, the first in the lowest bits.
 */
const packing: { readonly [T in OpaqueType]: number } = {
  bfloat16: 1,
  float8e4m3fn: 1,
  float8e4m3fnuz: 1,
  float8e5m2: 1,
  float8e5m2fnuz: 1,
  float8e8m0: 1,
  float4e2m1: 2,
  int4: 2,
  uint4: 2,
  int2: 4,
  uint2: 4,
};

/** The element types that have a typed array; float16 and the opaque types are kept as their bits. */
export type NumericType = keyof typeof arrays;
/** The typed array of an element type. */
export type TensorData<T extends NumericType = NumericType> = InstanceType<(typeof arrays)[T]>;

/** A constant: ONNX's TensorProto with its data as a typed array, row-major. */
export class Tensor {
  readonly elemType: NumericType;
  readonly dims: readonly number[];
  readonly data: TensorData;

  /** Throws RangeError where the number of elements is not the product of the dimensions. */
  constructor(elemType: NumericType, dims: readonly number[], data: TensorData) {
    const count = dims.reduce((product, dim) => product * dim, 1);
    if (data.length !== Math.ceil(count / (isOpaque(elemType) ? packing[elemType] : 1))) {
      throw new RangeError(
        `a ${elemType}[${dims.join(", ")}] tensor has ${count} elements, not ${data.length}`,
      );
    }
    this.elemType = elemType;
    this.dims = dims;
    this.data = data;
  }

  /** Type, dimensions and elements as text, which tells any two tensors apart that are not equal. */
  get key(): string {
    const elements = Array.from(this.data as ArrayLike<number | bigint>, elementText);
    return `${this.elemType}[${this.dims.join()}]${elements.join()}`;
  }

  /**
   * Every element as a number. Throws TypeError for a type whose elements are smaller than 16 bits of float.
   */
  numbers(): number[] {
    const { elemType } = this;
    const values = Array.from(this.data as ArrayLike<number | bigint>, Number);
    if (elemType === "float16") return values.map(float16Value);
    if (elemType === "bfloat16") return values.map(bfloat16Value);
    if (isOpaque(elemType)) throw new TypeError(`${elemType} elements are not read as numbers`);
    return values;
  }
}

/** A number, or what else an element is, as text; `-0` is another number than `0`. */
export function elementText(element: unknown): string {
  return Object.is(element, -0) ? "-0" : String(element);
}

/** An empty (zero-filled) typed array for `count` elements of a type. */
export function allocate(elemType: NumericType, count: number): TensorData {
  return new arrays[elemType](count);
}

/** Whether elements of this type are carried as their bits alone. */
export function isOpaque(elemType: DataType): elemType is OpaqueType {
  return Object.hasOwn(packing, elemType);
}

/** Whether tensors of this type can be held as a typed array. */
export function isNumeric(elemType: DataType): elemType is NumericType {
  return Object.hasOwn(arrays, elemType);
}

/** A tensor's elements read from little-endian bytes. */
export function dataFromBytes(elemType: NumericType, bytes: Uint8Array): TensorData {
  return new arrays[elemType](new Uint8Array(bytes).buffer);
}

/** A float tensor; without dims a vector, or a scalar for a single number. */
export function floats(values: number | readonly number[], dims?: readonly number[]): Tensor {
  const list = typeof values === "number" ? [values] : values;
  return new Tensor(
    "float",
    dims ?? (typeof values === "number" ? [] : [list.length]),
    Float32Array.from(list),
  );
}

/** An int64 tensor; without dims a vector, or a scalar for a single number. */
export function int64s(values: number | readonly number[], dims?: readonly number[]): Tensor {
  const list = typeof values === "number" ? [values] : values;
  const data = BigInt64Array.from(list, BigInt);
  return new Tensor("int64", dims ?? (typeof values === "number" ? [] : [list.length]), data);
}

/**
 * A tensor of any type that has a typed array, from numbers; without dims a vector, or a scalar for a single
 * number. Throws TypeError for a type whose elements are smaller than a byte or have eight bits of float.
 */
export function tensorOf(
  elemType: DataType,
  values: number | readonly number[],
  dims?: readonly number[],
): Tensor {
  const list = typeof values === "number" ? [values] : values;
  const shape = dims ?? (typeof values === "number" ? [] : [list.length]);
  switch (elemType) {
    case "int64":
      return new Tensor(elemType, shape, BigInt64Array.from(list, BigInt));
    case "uint64":
      return new Tensor(elemType, shape, BigUint64Array.from(list, BigInt));
    case "float16":
      return new Tensor(elemType, shape, Uint16Array.from(list, float16Bits));
    case "bfloat16":
      return new Tensor(elemType, shape, Uint16Array.from(list, bfloat16Bits));
    default:
      if (!isNumeric(elemType) || isOpaque(elemType)) {
        throw new TypeError(`a tensor of ${elemType} cannot be made from numbers`);
      }
      return new Tensor(elemType, shape, new arrays[elemType](list));
  }
}

/** The bits of the bfloat16 nearest to a number, ties to even: the upper half of its float. */
function bfloat16Bits(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  const [bits = 0] = new Uint32Array(Float32Array.of(value).buffer);
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

/** The number whose bfloat16 has these bits. */
function bfloat16Value(bits: number): number {
  const [value = 0] = new Float32Array(Uint32Array.of(bits << 16).buffer);
  return value;
}

/** The number whose IEEE 754 half has these bits. */
export function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const [exponent, fraction] = [(bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** The bits of the IEEE 754 half nearest to a number, ties to even; beyond 65504 infinity. */
export function float16Bits(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (size >= 65520) return sign | 0x7c00;
  // halves below 2^-14 are 2^-24 apart, above they have ten bits behind the first
  const exponent = Math.max(-14, Math.floor(Math.log2(size || 1e-99)));
  const step = 2 ** (exponent - 10);
  const count = roundHalfToEven(size / step);
  return sign | (((exponent + 14) << 10) + count);
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
