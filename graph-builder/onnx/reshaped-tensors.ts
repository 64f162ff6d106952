import type { Tensor } from "../tensor.ts";
import type { ValueType } from "../types.ts";
import { inTypeOf, replaceTensors } from "./file-tensors.ts";
import { parseModel } from "./parse.ts";
import type { Message } from "./schema.ts";
import { encodeTensor } from "./tensors.ts";
import { encodeType } from "./type-proto.ts";
import { encodeMessage } from "./wire.ts";

type IValueInfo = Message<"ValueInfoProto">;

/** What of a file gets another shape. */
export interface Reshaping {
  /** The new tensors, by the names of the constants that they replace. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The types of values whose declared shapes no longer hold; undefined where the type is not known. */
  readonly types: ReadonlyMap<string, ValueType | undefined>;
}

/**
 * An .onnx file with constants of other shapes; floats become float16 or bfloat16 where the constant is.
 * The shapes that the file declares of inner values named in `types` are left out, those of inputs and
 * outputs replaced. Throws UserError where the bytes are no ONNX model.
 */
export function withReshapedTensors(
  bytes: Uint8Array,
  { tensors, types }: Reshaping,
  where = "the model",
): Uint8Array {
  const replaced = replaceTensors(bytes, where, (name, old) => {
    const tensor = tensors.get(name);
    return tensor ? { ...encodeTensor(inTypeOf(old, tensor), old.name ?? name), name: old.name } : old;
  });
  const { graph, ...model } = parseModel(replaced, where);
  const retyped = (info: IValueInfo): IValueInfo => {
    const { name = "" } = info;
    if (!types.has(name)) return info;
    const type = types.get(name);
    const { elemType } = info.type?.tensorType ?? {};
    return { ...info, type: type ? encodeType(type) : { tensorType: { elemType } } };
  };
  const changed = {
    ...graph,
    input: graph.input?.map(retyped),
    output: graph.output?.map(retyped),
    valueInfo: graph.valueInfo?.filter(({ name = "" }) => !types.has(name)),
  };
  return encodeMessage("ModelProto", { ...model, graph: changed });
}
