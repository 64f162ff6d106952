import { UserError } from "../errors.ts";
import { dataTypeNumbers } from "../operators/elementwise.ts";
import { type Tensor, tensorOf } from "../tensor.ts";
import { halfTypes } from "../types.ts";
import { attributeWeights } from "./attribute-weights.ts";
import type { IGraph, INode } from "./model.ts";
import { parseModel } from "./parse.ts";
import { AttributeType, type Message } from "./schema.ts";
import { decodeSparseTensor, decodeTensor, encodeTensor } from "./tensors.ts";
import { encodeMessage } from "./wire.ts";

type ITensor = Message<"TensorProto">;

/**
 * An .onnx file without the elements of some constants: its initializers and Constant nodes of these names
 * keep their type and shape. `where` names the file in errors. Throws UserError where the bytes are no ONNX
 * model.
 */
export function withoutElements(
  bytes: Uint8Array,
  names: ReadonlySet<string>,
  where = "the model",
): Uint8Array {
  return replaceTensors(bytes, where, (name, tensor) => (names.has(name) ? emptied(tensor) : tensor));
}

/**
 * An .onnx file with other elements in its constants of these names; everything else in it stays as it is,
 * and floats become float16 or bfloat16 where the constant is. Throws UserError where a constant that has no
 * elements gets none, where a tensor has another shape than the constant, and where the file would be larger
 * than a protobuf message can be.
 */
export function withElements(
  bytes: Uint8Array,
  tensors: ReadonlyMap<string, Tensor>,
  where = "the model",
): Uint8Array {
  expectOneFile([bytes, ...[...tensors.values()].map(({ data }) => data)]);
  return replaceTensors(bytes, where, (name, old) => {
    const tensor = tensors.get(name);
    if (!tensor) return expectElements(name, old, where);
    expectShape(name, old, tensor, where);
    return { ...emptied(old), ...encodeTensor(inTypeOf(old, tensor), old.name ?? name), name: old.name };
  });
}

/** A tensor of floats in the type of a constant of 16 bits; another one as it is. */
export function inTypeOf({ dataType }: ITensor, tensor: Tensor): Tensor {
  const half = halfTypes.find((each) => dataTypeNumbers[each] === dataType);
  return half && tensor.elemType === "float" ? tensorOf(half, tensor.numbers(), tensor.dims) : tensor;
}

/** The most bytes of a protobuf message, whose lengths are signed 32-bit numbers. */
const LARGEST_FILE = 2 ** 31 - 1;

/** Throws UserError where parts together are larger than one .onnx file can be. */
export function expectOneFile(parts: readonly { readonly byteLength: number }[]): void {
  const total = parts.reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (total <= LARGEST_FILE) return;
  const gigabytes = (total / 1e9).toFixed(1);
  throw new UserError(
    `The model with its weights is ${gigabytes} GB, and one .onnx file holds at most 2 GB.`,
    {
      code: "model-unsupported",
      details: { bytes: total },
    },
  );
}

/** Returns another tensor in the place of a file's tensor of some name, or the same. */
type Replace = (name: string, tensor: ITensor) => ITensor;

/**
 * An .onnx file in which `replace` returns other tensors for its constants: initializers, Constant nodes, and
 * the weights in attributes. What has no tensor to hold no elements keeps its own where the new one has none.
 * A sparse tensor with other elements becomes a dense one.
 */
export function replaceTensors(bytes: Uint8Array, where: string, replace: Replace): Uint8Array {
  const { graph, ...model } = parseModel(bytes, where);
  const { initializer = [], sparseInitializer = [], node } = graph;
  const sparse = sparseInitializer.map(
    (each) => [each, denseOf(each, each.values?.name ?? "", replace)] as const,
  );
  const dense = sparse.flatMap(([, tensor]) => tensor ?? []);
  const replaced: IGraph = {
    ...graph,
    node: node?.map((each) => replaceInAttributes(replaceConstant(each, replace), replace)),
    initializer: [...initializer.map((tensor) => replace(tensor.name ?? "", tensor)), ...dense],
    sparseInitializer: sparse.flatMap(([each, tensor]) => (tensor ? [] : [each])),
  };
  return encodeMessage("ModelProto", { ...model, graph: replaced });
}

/** A sparse tensor as a dense one with other elements; undefined where it has no others. */
function denseOf(sparse: Message<"SparseTensorProto">, name: string, replace: Replace): ITensor | undefined {
  const old = encodeTensor(decodeSparseTensor(sparse, name), name);
  const tensor = replace(name, old);
  return tensor !== old && hasElements(tensor) ? tensor : undefined;
}

/** A Constant node with another tensor as its value; other nodes as they are. */
function replaceConstant(node: INode, replace: Replace): INode {
  if (node.opType !== "Constant") return node;
  const [name = ""] = node.output ?? [];
  const attribute = node.attribute?.map((old) => {
    const t = old.t && replace(name, old.t);
    const dense = old.sparseTensor && denseOf(old.sparseTensor, name, replace);
    if (dense) return { name: "value", type: AttributeType.TENSOR, t: dense };
    return t === old.t ? old : { ...old, t };
  });
  return { ...node, attribute };
}

/** A node with other numbers in the attributes that are weights. */
function replaceInAttributes(node: INode, replace: Replace): INode {
  const weights = attributeWeights(node);
  if (weights.length === 0) return node;
  const attribute = node.attribute?.map((each) => {
    const weight = weights.find((found) => found.attribute === each.name);
    if (!weight) return each;
    const { name, dims } = weight;
    const floatData = each.floats ?? [each.f ?? 0];
    const tensor = replace(name, { name, dims: [...dims], dataType: dataTypeNumbers.float, floatData });
    if (!hasElements(tensor)) return each;
    const numbers = [...decodeTensor(tensor, name).numbers()];
    return each.floats ? { ...each, floats: numbers } : { ...each, f: numbers[0] };
  });
  return { ...node, attribute };
}

/** A tensor's message without its elements. */
function emptied(tensor: ITensor): ITensor {
  const { name, dims, dataType, docString, metadataProps, unknownFields } = tensor;
  return { name, dims, dataType, docString, metadataProps, unknownFields };
}

function hasElements({ rawData, floatData, int32Data, externalData }: ITensor): boolean {
  return [rawData, floatData, int32Data, externalData].some((data) => data && data.length > 0);
}

function expectElements(name: string, tensor: ITensor, where: string): ITensor {
  const count = (tensor.dims ?? []).reduce<number>((product, dim) => product * Number(dim), 1);
  const isFloat = (["float", ...halfTypes] as const).some(
    (each) => dataTypeNumbers[each] === tensor.dataType,
  );
  if (hasElements(tensor) || count === 0 || !isFloat) return tensor;
  throw new UserError(`The checkpoint has no tensor ${name}, which ${where} needs.`, {
    code: "parameter-unknown",
    details: { parameter: name, where },
  });
}

function expectShape(name: string, old: ITensor, { dims }: Tensor, where: string): void {
  const wanted = (old.dims ?? []).map(Number);
  if (wanted.join() === dims.join()) return;
  throw new UserError(
    `The checkpoint's ${name} is [${dims.join(", ")}], and ${where} wants [${wanted.join(", ")}].`,
    { code: "parameter-shape", details: { parameter: name, shape: dims, wanted } },
  );
}
