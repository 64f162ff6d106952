import {
  type Binding,
  costOf,
  deriveBindings,
  elementCount,
  flopsOf,
  formatType,
  type Graph,
  isControl,
  type Model,
  metadataBesideBindings,
  type Node,
  outputOf,
  readBindings,
  type Value,
} from "../../../graph-builder/index.ts";
import { formatFields, formatLarge, formatTable } from "../../format.ts";
import type { Report } from "./report.ts";

/** A model: its inputs, outputs, layers, parameters, cost and metadata. */
export function inspectModel(model: Model): Report {
  const { graph } = model;
  const metadataProps = metadataBesideBindings(model);
  const state = stateNames(model);
  const cost = costOf(graph);
  const data = graph.inputs.filter((input) => !isWeight(input.name ?? ""));
  const weights = parametersOf(graph);
  const parameters = [...weights].reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const facts = {
    kind: "model",
    graph: graph.name,
    description: model.docString,
    producer: model.producerName,
    ir_version: model.irVersion,
    opset: model.opset,
    inputs: Object.fromEntries(data.map(({ name, type }) => [name, formatType(type)])),
    outputs: Object.fromEntries(graph.outputs.map(({ name, type }) => [name, formatType(type)])),
    nodes: graph.nodes.length,
    operators: countOperators(graph),
    parameters,
    flops_per_image: { forward: cost.forwardFlops, backward: cost.backwardFlops },
    metadata: metadataProps,
  };
  const text = [
    formatFields({
      model: model.docString || graph.name,
      format: `IR ${model.irVersion}, opset ${model.opset}, by ${model.producerName || "unknown"}`,
      inputs: listValues(data, state),
      outputs: listValues(graph.outputs, state),
      nodes: graph.nodes.length,
      parameters,
      "FLOPs an image": `${formatLarge(cost.forwardFlops)} forward, ${formatLarge(cost.backwardFlops)} backward`,
      activations: `${formatLarge(cost.activationBytes)}B an image`,
    }),
    "",
    formatTable(["layer", "operator", "output", "parameters", "FLOPs"], layers(graph, weights)),
    ...(Object.keys(metadataProps).length > 0 ? ["", formatFields(metadataProps)] : []),
  ].join("\n");
  return { facts, text, model };
}

/** Values with their types; gradients and state are only counted. */
function listValues(values: readonly Value[], state: ReadonlySet<string>): string {
  const shown = values
    .filter(({ name = "" }) => !state.has(name))
    .map(({ name, type }) => `${name} ${formatType(type)}`);
  const others = values.length - shown.length;
  return [...shown, ...(others > 0 ? [`and ${others} of gradients or state`] : [])].join("; ");
}

/**
 * The inputs and outputs that are gradients or state. In a file without bindings they are derived from the
 * usual names of weights.
 */
function stateNames(model: Model): Set<string> {
  const { graph } = model;
  const flags = graph.outputs.filter(({ producer }) => producer?.opType === "InPlaceAccumulatorV2");
  const bindings = readBindings(model, "the model") ?? derivedBindings(graph);
  const bound = bindings.filter((binding) => !isControl(binding));
  const names = bound.flatMap((binding) => [binding.input, outputOf(binding)]);
  return new Set([...names, ...flags.map(({ name }) => name)].flatMap((name) => name ?? []));
}

/**
 * Derives the bindings of both a training and an optimizer model, because a graph does not tell its kind.
 */
function derivedBindings(graph: Graph): Binding[] {
  const weights = graph.inputs.map(({ name = "" }) => name).filter(isWeight);
  const tensors = {
    trainable: new Set(weights.filter(isParameter)),
    frozen: new Set(weights.filter((name) => !isParameter(name))),
  };
  return (["training", "optimizer"] as const).flatMap((kind) => deriveBindings(graph, kind, tensors));
}

function isWeight(name: string): boolean {
  return isParameter(name) || isStatistic(name);
}

function isParameter(name: string): boolean {
  return /\.(weight|bias)$/.test(name);
}

/**
 * The trainable parameters: inputs and constants with the name of a weight or bias. In a model of another
 * program a constant may have any name: a node that reads a float constant of two axes or more is a layer,
 * and its float constants are its parameters.
 */
function parametersOf(graph: Graph): Set<Value> {
  const named = [...graph.inputs, ...graph.initializers].filter(({ name = "" }) => isParameter(name));
  const unnamed = graph.nodes
    .map(({ inputs }) => inputs.filter((input) => input !== null).filter(isFloatConstant))
    .filter((constants) => constants.some(({ shape }) => shape.filter((size) => size !== 1).length > 1))
    .flat();
  return new Set([...named, ...unnamed]);
}

function isFloatConstant({ constant, name = "" }: Value): boolean {
  return (
    /^(float|float16|double)$/.test(constant?.elemType ?? "") &&
    (constant?.data.length ?? 0) > 1 &&
    !isStatistic(name)
  );
}

function isStatistic(name: string): boolean {
  return /\.running_(mean|var)$/.test(name);
}

/** The layers of the forward pass that have weights. */
function layers(graph: Graph, weights: ReadonlySet<Value>): (string | number)[][] {
  return graph.nodes.flatMap((node) => {
    const own = node.inputs.map(beforeQuantization).filter((input) => input !== null && weights.has(input));
    const [output] = node.outputs;
    if (node.phase !== "forward" || own.length === 0 || !output || !isLayer(node)) return [];
    const name = own[0]?.name ?? "";
    const layer = isParameter(name) ? name.replace(/\.(weight|bias)$/, "") : node.name;
    const parameters = own.reduce((sum, input) => sum + (input ? elementCount(input.shape) : 0), 0);
    return [[layer, node.opType, formatType(output.type), parameters, formatLarge(flopsOf(node))]];
  });
}

function isLayer({ opType }: Node): boolean {
  return opType !== "InPlaceAccumulatorV2" && opType !== "DequantizeLinear";
}

/** The integer tensor of a quantized weight; other inputs unchanged. */
function beforeQuantization(input: Value | null): Value | null {
  return input?.producer?.opType === "DequantizeLinear" ? input.producer.input(0) : input;
}

function countOperators(graph: Graph): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { operator, opType } of graph.nodes) {
    const name = operator.opType ?? opType;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
}
