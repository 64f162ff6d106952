import {
  elementCount,
  flopsOf,
  formatType,
  type Graph,
  type Node,
  type Value,
} from "../../graph-builder/index.ts";

/** Whether a name is that of a parameter or of a running statistic. */
export function isWeight(name: string): boolean {
  return isParameter(name) || isStatistic(name);
}

/** Whether a name is that of a trainable parameter. */
export function isParameter(name: string): boolean {
  return /\.(weight|bias)$/.test(name);
}

/**
 * The trainable parameters: inputs and constants with the name of a weight or bias. In a model of another
 * program a constant may have any name: a node that reads a float constant of two axes or more is a layer,
 * and its float constants are its parameters.
 */
export function parametersOf(graph: Graph): Set<Value> {
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

/** A node of the forward pass that has weights. */
export interface Layer {
  readonly name: string;
  readonly operator: string;
  /** The type and shape of its output. */
  readonly output: string;
  readonly parameters: number;
  /** For an image. */
  readonly flops: number;
}

/** The layers of a graph, whose parameters are `weights`. */
export function layersOf(graph: Graph, weights: ReadonlySet<Value>): readonly Layer[] {
  return graph.nodes.flatMap((node) => {
    const own = node.inputs.map(beforeQuantization).filter((input) => input !== null && weights.has(input));
    const [output] = node.outputs;
    if (node.phase !== "forward" || own.length === 0 || !output || !isLayer(node)) return [];
    const name = own[0]?.name ?? "";
    const layer = isParameter(name) ? name.replace(/\.(weight|bias)$/, "") : node.name;
    const parameters = own.reduce((sum, input) => sum + (input ? elementCount(input.shape) : 0), 0);
    const { opType: operator } = node;
    return [{ name: layer, operator, output: formatType(output.type), parameters, flops: flopsOf(node) }];
  });
}

function isLayer({ opType }: Node): boolean {
  return opType !== "InPlaceAccumulatorV2" && opType !== "DequantizeLinear";
}

/** The integer tensor of a quantized weight; other inputs unchanged. */
function beforeQuantization(input: Value | null): Value | null {
  return input?.producer?.opType === "DequantizeLinear" ? input.producer.input(0) : input;
}
