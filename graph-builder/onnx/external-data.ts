import { UserError } from "../errors.ts";
import { expectOneFile } from "./file-tensors.ts";
import { type ParsedModel, parseModel } from "./parse.ts";
import type { Message } from "./schema.ts";
import { graphsOf, nodesWithin } from "./subgraphs.ts";
import { encodeMessage } from "./wire.ts";

type IAttribute = Message<"AttributeProto">;
type IGraph = Message<"GraphProto">;
type INode = Message<"NodeProto">;
type ITensor = Message<"TensorProto">;

/**
 * The bytes of the files beside a model that hold elements of its tensors, by their location in the model.
 */
export type ExternalData = ReadonlyMap<string, Uint8Array>;

/** TensorProto.DataLocation.EXTERNAL. */
const EXTERNAL = 1;

/**
 * The files beside a model that hold elements of its tensors, as paths relative to the model's folder. Throws
 * UserError where the bytes are no ONNX model, and for a path that leaves the folder.
 */
export function externalLocations(bytes: Uint8Array, where = "the model"): string[] {
  const found = new Set<string>();
  mapTensors(parseModel(bytes, where), (tensor) => {
    if (tensor.dataLocation === EXTERNAL) found.add(locationOf(tensor, where));
    return tensor;
  });
  return [...found];
}

/**
 * The model with the elements of other files in its tensors. Throws UserError where a file is missing, or has
 * no such bytes.
 */
export function withExternalData(model: ParsedModel, files: ExternalData, where: string): ParsedModel {
  const { initializer = [], node = [] } = model.graph;
  const nodes = [...node, ...nodesWithin(graphsOf(node.flatMap(({ attribute }) => attribute ?? [])))];
  const constants = nodes.flatMap(({ attribute = [] }) => attribute.flatMap(({ t }) => t ?? []));
  if (![...initializer, ...constants].some(({ dataLocation }) => dataLocation === EXTERNAL)) return model;
  return mapTensors(model, (tensor) => {
    if (tensor.dataLocation !== EXTERNAL) return tensor;
    const { externalData: _, dataLocation: __, ...rest } = tensor;
    return { ...rest, rawData: elementsOf(tensor, files, where) };
  });
}

/**
 * The bytes of a model as one file, with the elements of the files beside it in its tensors; the same bytes
 * where it has none beside it. Throws UserError where the bytes are no ONNX model, where a file is missing,
 * and where the file would be larger than a protobuf message can be.
 */
export function withDataInside(bytes: Uint8Array, files: ExternalData, where = "the model"): Uint8Array {
  const model = parseModel(bytes, where);
  const whole = withExternalData(model, files, where);
  expectOneFile([...files.values(), bytes]);
  return whole === model ? bytes : encodeMessage("ModelProto", whole);
}

function entriesOf({ externalData = [] }: ITensor): Map<string, string> {
  return new Map(externalData.map(({ key = "", value = "" }) => [key, value]));
}

function locationOf(tensor: ITensor, where: string): string {
  const location = entriesOf(tensor).get("location") ?? "";
  const steps = location.split("/");
  const isInside = location !== "" && !/^[/\\]|^[A-Za-z]:|\\|\0/.test(location) && !steps.includes("..");
  return isInside
    ? location
    : damaged(
        `the tensor ${tensor.name} lies in ${location || "no file"}, which is outside of its folder`,
        where,
      );
}

function elementsOf(tensor: ITensor, files: ExternalData, where: string): Uint8Array {
  const location = locationOf(tensor, where);
  const file = files.get(location);
  if (!file) {
    const message = `${where} cannot be used: its tensor ${tensor.name} lies in ${location}, which is missing.`;
    throw new UserError(message, { code: "file-missing", details: { where, tensor: tensor.name, location } });
  }
  const entries = entriesOf(tensor);
  const offset = Number(entries.get("offset") ?? 0);
  const length = Number(entries.get("length") ?? file.length - offset);
  const fits = [offset, length].every((each) => Number.isSafeInteger(each) && each >= 0);
  if (![offset, length].every(Number.isInteger)) {
    const said = ["offset", "length"].map((key) => `the ${key} ${entries.get(key) ?? "of the rest"}`);
    return damaged(`its tensor ${tensor.name} has ${said.join(" and ")} in ${location}`, where);
  }
  if (!fits || offset + length > file.length) {
    const place = `bytes ${offset} to ${offset + length} of ${location}`;
    return damaged(`its tensor ${tensor.name} is ${place}, which has ${file.length}`, where);
  }
  return file.subarray(offset, offset + length);
}

function damaged(reason: string, where: string): never {
  throw new UserError(`${where} cannot be used: ${reason}.`, { code: "model-damaged", details: { where } });
}

function mapTensors(model: ParsedModel, change: (tensor: ITensor) => ITensor): ParsedModel {
  const attribute = (each: IAttribute): IAttribute => ({
    ...each,
    ...(each.t ? { t: change(each.t) } : {}),
    ...(each.tensors ? { tensors: each.tensors.map(change) } : {}),
    ...(each.g ? { g: graph(each.g) } : {}),
    ...(each.graphs ? { graphs: each.graphs.map(graph) } : {}),
  });
  const node = (each: INode): INode =>
    each.attribute ? { ...each, attribute: each.attribute.map(attribute) } : each;
  const graph = (each: IGraph): IGraph => ({
    ...each,
    ...(each.initializer ? { initializer: each.initializer.map(change) } : {}),
    ...(each.node ? { node: each.node.map(node) } : {}),
  });
  const functions = model.functions?.map((each) => ({ ...each, node: (each.node ?? []).map(node) }));
  return { ...model, graph: graph(model.graph), ...(functions ? { functions } : {}) };
}
