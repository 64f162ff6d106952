import { dataTypeNumbers, dataTypeOf } from "../operators/elementwise.ts";
import { type DataType, type OtherType, tensorType, unknownType, type ValueType } from "../types.ts";
import type { Message } from "./schema.ts";

type IType = Message<"TypeProto">;
type ITensorType = Message<"TensorType">;

/** A type as it is written in a file; undefined where no type is known. */
export function encodeType(type: ValueType): IType | undefined {
  if (type.kind === "other") return type.proto;
  const elemType = dataTypeNumbers[type.elemType];
  if (type.kind === "sequence") return { sequenceType: { elemType: { tensorType: { elemType } } } };
  const dim = type.shape.map((size) =>
    typeof size === "number" ? { dimValue: size } : { dimParam: String(size) },
  );
  return { tensorType: { elemType, shape: { dim } } };
}

/** What exporters write for a size that they do not know: PaddlePaddle's writes `?` for several at once. */
const noNames: readonly string[] = ["", "?", "-1", "None"];

/**
 * The type that a file declares for a value. A dimension without a name gets one after the value's, such as
 * `x_dim0`.
 */
export function decodeType(proto: IType | undefined, name: string): ValueType {
  if (!proto || formatTypeProto(proto) === "") return unknownType;
  const sequence = proto.sequenceType?.elemType?.tensorType;
  const elemType = elemTypeOf((sequence ?? proto.tensorType)?.elemType);
  if (sequence && elemType) return { kind: "sequence", elemType };
  const dims = proto.tensorType?.shape && (proto.tensorType.shape.dim ?? []);
  if (!dims || !elemType) return otherType(proto);
  return tensorType(
    elemType,
    dims.map(({ dimParam = "", dimValue }, i) => {
      if (dimValue !== undefined && Number(dimValue) >= 0) return Number(dimValue);
      return noNames.includes(dimParam) ? `${name}_dim${i}` : dimParam;
    }),
  );
}

/** The types that a file declares for the values of a graph or a function, by their names. */
export function declaredTypes({
  valueInfo = [],
  output = [],
}: {
  readonly valueInfo?: readonly Message<"ValueInfoProto">[] | undefined;
  readonly output?: readonly (Message<"ValueInfoProto"> | string)[] | undefined;
}): Map<string, ValueType> {
  const infos = [...valueInfo, ...output.filter((each) => typeof each !== "string")];
  const types = infos.map(({ name = "", type }) => [name, decodeType(type, name)] as const);
  return new Map([...types, ...types.filter(([, { kind }]) => kind !== "other")]);
}

function otherType(proto: IType): OtherType {
  return { kind: "other", elemType: "undefined", text: formatTypeProto(proto), proto };
}

/** The element type of a number; undefined for a number that is not known, and for none. */
function elemTypeOf(number = 0): DataType | undefined {
  return number !== 0 && Object.values(dataTypeNumbers).includes(number) ? dataTypeOf(number) : undefined;
}

/** A type in ONNX's textual syntax; empty where the message says none. */
export function formatTypeProto(type: IType | undefined): string {
  if (type?.tensorType) return formatTensor(type.tensorType);
  if (type?.sparseTensorType) return `sparse_tensor(${formatTensor(type.sparseTensorType)})`;
  if (type?.sequenceType) return `seq(${formatTypeProto(type.sequenceType.elemType)})`;
  if (type?.optionalType) return `optional(${formatTypeProto(type.optionalType.elemType)})`;
  if (type?.opaqueType) return `opaque(${type.opaqueType.domain ?? ""}, ${type.opaqueType.name ?? ""})`;
  if (!type?.mapType) return "";
  const { keyType, valueType } = type.mapType;
  return `map(${elemTypeOf(keyType) ?? `type ${keyType}`}, ${formatTypeProto(valueType)})`;
}

function formatTensor({ elemType, shape }: ITensorType): string {
  const element = elemTypeOf(elemType) ?? `type ${elemType ?? 0}`;
  if (!shape) return `${element}[]`;
  const dims = (shape.dim ?? []).map(({ dimParam, dimValue }) => dimParam || String(dimValue ?? "?"));
  return dims.length > 0 ? `${element}[${dims.join(", ")}]` : element;
}
