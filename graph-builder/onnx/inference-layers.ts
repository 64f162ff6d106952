import type { IGraph, INode } from "./model.ts";
import { canonicalDomain, importedOpset } from "./opset-imports.ts";
import { parseModel } from "./parse.ts";
import { capturedNames } from "./subgraphs.ts";
import { encodeMessage } from "./wire.ts";

/**
 * An .onnx file whose batch normalisations read their running statistics, and whose dropouts drop nothing.
 * torch.onnx.export writes both in training form with TrainingMode.TRAINING, so that a program would
 * normalise by its batch and drop at random. A batch normalisation whose new statistics are read, and a
 * dropout whose `training_mode` is computed, stay as they are; so do the graphs in attributes. A file that is
 * in inference form is returned as it is. `where` names the file in errors. Throws UserError where the bytes
 * are no ONNX model.
 */
export function withInferenceLayers(bytes: Uint8Array, where = "the model"): Uint8Array {
  const { graph, ...model } = parseModel(bytes, where);
  const { node: nodes = [], valueInfo = [] } = graph;
  const form = inferenceFormIn(graph, importedOpset(model.opsetImport) ?? 1);
  const changed = nodes.map((node) => (canonicalDomain(node.domain) === "" ? form(node) : node));
  if (changed.every((node, i) => node === nodes[i])) return bytes;
  const made = new Set(changed.flatMap(({ output = [] }) => output));
  const dropped = new Set(nodes.flatMap(({ output = [] }) => output).filter((name) => !made.has(name)));
  const described = valueInfo.filter(({ name = "" }) => !dropped.has(name));
  return encodeMessage("ModelProto", { ...model, graph: { ...graph, node: changed, valueInfo: described } });
}

/**
 * What puts a node of a graph into inference form; it returns the node itself where there is nothing to do.
 */
function inferenceFormIn(graph: IGraph, opset: number): (node: INode) => INode {
  const { node: nodes = [], initializer = [], output: outputs = [] } = graph;
  const read = new Set([...nodes.flatMap(namesReadBy), ...outputs.map(({ name = "" }) => name)]);
  const constants = new Set([
    ...initializer.map(({ name = "" }) => name),
    ...nodes.filter(({ opType }) => opType === "Constant").flatMap(({ output = [] }) => output),
  ]);
  return (node) => {
    if (node.opType === "BatchNormalization") return normalization(node, opset, read);
    return node.opType === "Dropout" && opset >= 12 ? dropout(node, constants) : node;
  };
}

function namesReadBy({ input = [], attribute = [] }: INode): string[] {
  return [...input.filter((name) => name !== ""), ...capturedNames(attribute)];
}

/** Before opset 14, outputs behind the first one meant training form. */
function normalization(node: INode, opset: number, read: ReadonlySet<string>): INode {
  const { output: [Y = "", ...statistics] = [], attribute = [] } = node;
  const isMode = ({ name }: { readonly name?: string | undefined }) => name === "training_mode";
  const isTraining =
    opset < 14 ? statistics.some((name) => name !== "") : Number(attribute.find(isMode)?.i ?? 0) === 1;
  if (!isTraining || statistics.some((name) => read.has(name))) return node;
  return { ...node, output: [Y], attribute: attribute.filter((each) => !isMode(each)) };
}

function dropout(node: INode, constants: ReadonlySet<string>): INode {
  const [data = "", ratio = "", mode = ""] = node.input ?? [];
  return constants.has(mode) ? { ...node, input: ratio === "" ? [data] : [data, ratio] } : node;
}
