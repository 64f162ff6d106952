import {
  type Binding,
  costOf,
  deriveBindings,
  elementCount,
  formatType,
  type Graph,
  isControl,
  type Model,
  metadataBesideBindings,
  outputOf,
  readBindings,
  type Value,
} from "../../../graph-builder/index.ts";
import { formatFields, formatLarge, formatTable } from "../../format.ts";
import { costUnit, describeCost } from "../../models/cost-field.ts";
import { isParameter, isWeight, layersOf, parametersOf } from "../../models/layers.ts";
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
      [`FLOPs ${costUnit(data)}`]: describeCost(data, cost),
      activations: `${formatLarge(cost.activationBytes)}B ${costUnit(data)}`,
    }),
    "",
    formatTable(
      ["layer", "operator", "output", "parameters", "FLOPs"],
      layersOf(graph, weights).map(({ name, operator, output, parameters: own, flops }) => [
        name,
        operator,
        output,
        own,
        formatLarge(flops),
      ]),
    ),
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

function countOperators(graph: Graph): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { operator, opType } of graph.nodes) {
    const name = operator.opType ?? opType;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
}
