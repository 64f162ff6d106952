import {
  decodeModel,
  formatType,
  type GradientCoverage,
  Graph,
  gradientCoverage,
  type Model,
  type Node,
  nodesFor,
  partFor,
  stopsGradient,
  trainingForm,
  UserError,
  type Value,
} from "../graph-builder/index.ts";
import { withFloatWeights } from "./float-weights.ts";
import { type ParameterLayer, parametersOf } from "./model-parameters.ts";
import { type OtherConstant, otherConstants } from "./other-constants.ts";
import { outputNamed } from "./outputs.ts";
import { trainsLayer } from "./training-layers.ts";
import { makesUnknown, reasonOfUnknown } from "./unknown-types.ts";

/** What of a model can be trained, and what keeps the rest from it. */
export interface TrainingCoverage {
  readonly outputs: readonly CoveredOutput[];
  readonly parameters: readonly CoveredParameter[];
  readonly obstacles: readonly Obstacle[];
  /** The constants that are no parameters. */
  readonly constants: readonly OtherConstant[];
}

/** An output that a loss may read. */
export interface CoveredOutput {
  readonly name: string;
  readonly type: string;
  /** Why no loss can read it; undefined where one can. */
  readonly reason: string | undefined;
}

/** A parameter of a model: a float constant that a layer reads as its weight, bias or scale. */
export interface CoveredParameter {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: number;
  readonly layers: readonly ParameterLayer[];
  /** The outputs from which a loss can train it. */
  readonly trainableFrom: readonly string[];
  /** Why no loss can train it; undefined where one can. */
  readonly reason: string | undefined;
}

/** A node that a gradient would have to pass and cannot. */
export interface Obstacle {
  readonly node: string;
  readonly opType: string;
  /** A clause that names the operator and the node. */
  readonly reason: string;
  /** The outputs that lie behind the node. */
  readonly outputs: readonly string[];
  /** The parameters that the node keeps from being trained by a loss on these outputs. */
  readonly parameters: readonly string[];
}

/** Settings of `trainingCoverage`. */
export interface CoverageOptions {
  /** The outputs that a loss may read; by default all of the model. */
  readonly outputs?: readonly string[] | undefined;
}

/**
 * Tells what of a model can be trained: it tries the gradient rule of every node between the parameters and
 * the outputs, with the layers in training form. `generateArtifacts` succeeds for a parameter and a loss on
 * an output where the output is in the parameter's `trainableFrom`. Throws UserError where the bytes are no
 * ONNX model, and for an output that the model does not have.
 */
export function trainingCoverage(
  model: Uint8Array | Model | Graph,
  { outputs }: CoverageOptions = {},
): TrainingCoverage {
  const graph = withFloatWeights(graphOf(model));
  const considered = outputs?.map((name) => outputNamed(graph, name)) ?? graph.outputs;
  const parameters = parametersOf(partFor(graph, considered));
  const names = new Set(parameters.map(({ name }) => name));
  const covered = considered.map(coveredOutput);
  const readable = covered.filter(({ reason }) => reason === undefined).map(({ name }) => name);
  const { form, refused } = formFor(graph, names);
  const gradients = gradientCoverage(form, readable, names);
  const found = readable.flatMap((output) => [
    ...unknownTypes(graph, output),
    ...refused.flatMap((each) => layerObstacle(graph, output, each)),
    ...gradientObstacles(output, gradients.get(output)),
  ]);
  const obstacles = joined(found);
  const isTrainable = (output: string, name: string) =>
    gradients.get(output)?.reached.has(name) === true &&
    !found.some((each) => each.outputs.includes(output) && each.parameters.includes(name));
  return {
    outputs: covered,
    parameters: parameters.map(({ name, tensor, value, layers }) => {
      const trainableFrom = readable.filter((output) => isTrainable(output, name));
      const reason = trainableFrom.length > 0 ? undefined : reasonFor(name, value, obstacles, readable);
      return { name, shape: tensor.dims, values: tensor.data.length, layers, trainableFrom, reason };
    }),
    obstacles,
    constants: otherConstants(graph, names),
  };
}

function graphOf(model: Uint8Array | Model | Graph): Graph {
  if (model instanceof Graph) return model;
  if (model instanceof Uint8Array) return decodeModel(model, "the model", { uncovered: "keep" }).graph;
  return model.graph;
}

const lossTypes: readonly string[] = ["float", "float16", "bfloat16", "double"];

function coveredOutput({ name = "", type, producer }: Value): CoveredOutput {
  const isRead = type.kind === "tensor" && lossTypes.includes(type.elemType);
  const shown = formatType(type);
  const reason = isRead
    ? undefined
    : (producer?.operator.kept?.reason ?? `it is ${shown || "of an unknown type"}, and a loss reads floats`);
  return { name, type: shown, reason };
}

interface RefusedLayer {
  readonly layer: Node;
  readonly reason: string;
}

/** The graph with its layers in training form, and the layers that cannot be put into it. */
function formFor(graph: Graph, trained: ReadonlySet<string>) {
  const includes = trainsLayer(graph, trained);
  const refused: RefusedLayer[] = [];
  for (;;) {
    try {
      const isLeft = (layer: Node) => refused.some((each) => each.layer === layer);
      const { graph: form } = trainingForm(graph, { includes: (node) => includes(node) && !isLeft(node) });
      return { form, refused };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      const layer = graph.nodes.find(({ name }) => name === error.details["node"]);
      if (!layer || refused.some((each) => each.layer === layer)) throw error;
      refused.push({ layer, reason: error.message.replace(/\.$/, "") });
    }
  }
}

function layerObstacle(graph: Graph, output: string, { layer, reason }: RefusedLayer): Obstacle[] {
  if (!nodesFor(graph, [graph.output(output)]).includes(layer)) return [];
  return [obstacle(layer, reason, output, namesIn(graph, layer.outputs))];
}

/** Behind a node whose results are of an unknown type nothing can be trained, because no shape is known. */
function unknownTypes(graph: Graph, output: string): Obstacle[] {
  const needed = [graph.output(output)];
  const node = nodesFor(graph, needed).find(makesUnknown);
  if (!node) return [];
  return [obstacle(node, reasonOfUnknown(node), output, namesIn(graph, needed))];
}

function gradientObstacles(output: string, coverage: GradientCoverage | undefined): Obstacle[] {
  const refused = coverage?.refused ?? [];
  return refused.map(({ node, reason, targets }) => obstacle(node, reason, output, [...targets]));
}

function obstacle(
  { name, opType }: Node,
  reason: string,
  output: string,
  parameters: readonly string[],
): Obstacle {
  return { node: name, opType, reason, outputs: [output], parameters };
}

function namesIn(graph: Graph, values: readonly Value[]): string[] {
  return parametersOf(partFor(graph, values)).map(({ name }) => name);
}

/** Obstacles of several outputs, each node once for a reason. */
function joined(obstacles: readonly Obstacle[]): Obstacle[] {
  const byNode = new Map<string, Obstacle>();
  for (const each of obstacles) {
    const key = JSON.stringify([each.node, each.reason]);
    const { outputs = [], parameters = [] } = byNode.get(key) ?? {};
    byNode.set(key, {
      ...each,
      outputs: [...outputs, ...each.outputs],
      parameters: [...new Set([...parameters, ...each.parameters])],
    });
  }
  return [...byNode.values()];
}

function reasonFor(
  name: string,
  value: Value,
  obstacles: readonly Obstacle[],
  readable: readonly string[],
): string {
  if (readable.length === 0) return "no loss can read an output of the model";
  const [first] = obstacles.filter(({ parameters }) => parameters.includes(name));
  if (first) return first.reason;
  const stop = stoppingNode(value);
  return stop
    ? `no gradient passes ${stop.opType} at ${stop.name}, whose derivative is 0`
    : "no output that a loss can read depends on it";
}

/** A node behind a value that no gradient passes. */
function stoppingNode(start: Value): Node | undefined {
  const seen = new Set<Value>();
  const pending = [start];
  for (let value = pending.pop(); value; value = pending.pop()) {
    if (seen.has(value)) continue;
    seen.add(value);
    for (const { node } of value.uses) {
      if (stopsGradient(node)) return node;
      pending.push(...node.outputs);
    }
  }
  return undefined;
}
