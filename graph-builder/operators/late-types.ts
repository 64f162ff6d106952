import type { DataType } from "../types.ts";
import type { OpType } from "./index.ts";

/** Types that operators take from an opset of ai.onnx on. */
interface LateTypes {
  readonly since: number;
  readonly types: readonly DataType[];
  readonly operators: readonly OpType[];
}

const smallIntegers: readonly DataType[] = ["int8", "int16", "uint8", "uint16"];
const integers: readonly DataType[] = [...smallIntegers, "int32", "int64", "uint32", "uint64"];

/** The operators that are there before the types that they take (onnx/onnx docs/Changelog.md). */
const lateTypes: readonly LateTypes[] = [
  { since: 12, types: integers, operators: ["Clip", "Min", "Max"] },
  { since: 12, types: ["int8", "uint8"], operators: ["ReduceMax", "ReduceMin", "MaxPool"] },
  { since: 13, types: ["bool"], operators: ["Pad"] },
  { since: 14, types: smallIntegers, operators: ["Add", "Sub", "Mul", "Div"] },
  { since: 14, types: ["int8", "int16", "int32", "int64"], operators: ["Relu"] },
  { since: 14, types: ["float16", "bfloat16"], operators: ["CumSum"] },
  { since: 14, types: ["bfloat16"], operators: ["BatchNormalization"] },
  { since: 15, types: ["bfloat16"], operators: ["Pow"] },
  {
    since: 16,
    types: ["bfloat16"],
    operators: ["Where", "GreaterOrEqual", "LessOrEqual", "LeakyRelu", "PRelu", "Scan"],
  },
  {
    since: 19,
    types: ["float16", "bfloat16", "float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz"],
    operators: ["QuantizeLinear", "DequantizeLinear"],
  },
  { since: 20, types: ["float16", "bfloat16"], operators: ["IsInf"] },
  { since: 20, types: ["bool"], operators: ["ReduceMax", "ReduceMin"] },
  { since: 20, types: ["bfloat16"], operators: ["ConstantOfShape"] },
  {
    since: 21,
    types: ["int16", "uint16", "int4", "uint4"],
    operators: ["QuantizeLinear", "DequantizeLinear"],
  },
  {
    since: 22,
    types: ["bfloat16"],
    operators: [
      ...(["Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh"] as const),
      ...(["Round", "EyeLike", "Det", "HardSigmoid", "HardSwish", "ThresholdedRelu", "Elu", "Selu"] as const),
      ...(["Mish", "Softplus", "Softsign", "Conv", "ConvTranspose", "MaxPool", "AveragePool"] as const),
      ...(["GlobalAveragePool", "InstanceNormalization", "GridSample", "RoiAlign"] as const),
      ...(["LSTM", "GRU", "RNN", "NegativeLogLikelihoodLoss", "Bernoulli"] as const),
      ...(["RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike"] as const),
    ],
  },
  { since: 23, types: ["float4e2m1"], operators: ["QuantizeLinear", "DequantizeLinear"] },
  { since: 24, types: ["float8e8m0"], operators: ["QuantizeLinear", "DequantizeLinear"] },
  { since: 25, types: ["int2", "uint2"], operators: ["QuantizeLinear", "DequantizeLinear"] },
];

const lateTypesOf = new Map<string, LateTypes[]>();
for (const late of lateTypes)
  for (const opType of late.operators) lateTypesOf.set(opType, [...(lateTypesOf.get(opType) ?? []), late]);

/** No operator takes bfloat16 before. */
const FIRST_BFLOAT16 = 13;

/**
 * The first opset of ai.onnx at which an operator takes values of some types; 0 where that is not later than
 * 11.
 */
export function typesSince(opType: string, types: readonly DataType[]): number {
  const opsets = (lateTypesOf.get(opType) ?? [])
    .filter((late) => late.types.some((type) => types.includes(type)))
    .map(({ since }) => since);
  return Math.max(0, ...opsets, ...(types.includes("bfloat16") ? [FIRST_BFLOAT16] : []));
}
