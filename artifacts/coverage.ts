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
  runPasses,
  stopsGradient,
  trainingForm,
  UserError,
  type Value,
} from "../graph-builder/index.ts";
import { floatWeights } from "./float-weights.ts";
import { expectOutputs } from "./generate-options.ts";
import { expectModel } from "./given-model.ts";
import { floatConstants, type ParameterLayer, parametersOf } from "./model-parameters.ts";
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
  expectModel("trainingCoverage", model);
  if (outputs !== undefined) expectOutputs("outputs", outputs);
  const graph = runPasses(graphOf(model), [floatWeights]);
  const considered = outputs?.map((name) => outputNamed(graph, name)) ?? graph.outputs;
  const parameters = parametersOf(partFor(graph, considered));
  const names = new Set(parameters.map(({ name }) => name));
  const covered = considered.map((output) => coveredOutput(graph, output));
  const readable = covered.filter(({ reason }) => reason === undefined).map(({ name }) => name);
  const { form, refused } = formFor(graph, names);
  const others = [...floatConstants(graph).keys()].filter((name) => !names.has(name));
  const gradients = gradientCoverage(form, readable, new Set([...names, ...others]));
  const found = readable.flatMap((output) => [
    ...unknownTypes(graph, output),
    ...refused.flatMap((each) => layerObstacle(graph, output, each)),
    ...gradientObstacles(output, gradients.get(output), names),
  ]);
  const obstacles = joined([
    ...found,
    ...readable.flatMap((output) => hiddenParameters(graph, output, found)),
  ]);
  const isTrainable = (output: string, name: string) =>
    isReached(gradients.get(output), name) &&
    !found.some((each) => each.outputs.includes(output) && each.parameters.includes(name));
  const known = readable.filter((output) => unknownTypes(graph, output).length === 0);
  const reached = others.filter((name) => known.some((output) => isReached(gradients.get(output), name)));
  return {
    outputs: covered,
    parameters: parameters.map(({ name, tensor, value, layers }) => {
      const trainableFrom = readable.filter((output) => isTrainable(output, name));
      const reason = trainableFrom.length > 0 ? undefined : reasonFor(name, value, obstacles, readable);
      return { name, shape: tensor.dims, values: tensor.data.length, layers, trainableFrom, reason };
    }),
    obstacles,
    constants: otherConstants(graph, names, new Set(reached)),
  };
}

function graphOf(model: Uint8Array | Model | Graph): Graph {
  if (model instanceof Graph) return model;
  if (model instanceof Uint8Array) return decodeModel(model, "the model", { uncovered: "keep" }).graph;
  return model.graph;
}

const lossTypes: readonly string[] = ["float", "float16", "bfloat16", "double"];

function coveredOutput(graph: Graph, output: Value): CoveredOutput {
  const { name = "", type } = output;
  const shown = formatType(type);
  if (isReadable(output)) return { name, type: shown, reason: undefined };
  const unknown = type.kind === "other" && nodesFor(graph, [output]).find(makesUnknown);
  const reason = unknown
    ? reasonOfUnknown(unknown)
    : (output.producer?.operator.kept?.reason ?? `it is ${shown}, and a loss reads floats`);
  // a classifier of scikit-learn ends in ZipMap, which makes a map of the probabilities
  const before = output.producer?.operator.kept ? output.producer.inputs.find(isComputed) : undefined;
  const advice = before ? `; a loss can read what it is made of, ${before.name}` : "";
  return { name, type: shown, reason: reason + advice };
}

function isReadable({ type }: Value): boolean {
  return type.kind === "tensor" && lossTypes.includes(type.elemType);
}

/** Whether a value has a name and floats that nodes compute, so that a loss can read it. */
function isComputed(value: Value | null): value is Value {
  return value?.name !== undefined && value.producer !== undefined && isReadable(value);
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

/** Whether the gradient of an output reaches a constant past no refused node. */
function isReached(coverage: GradientCoverage | undefined, name: string): boolean {
  return coverage?.reached.has(name) === true && !coverage.refused.some(({ targets }) => targets.has(name));
}

/** The refused nodes that keep some of the named parameters from being trained. */
function gradientObstacles(
  output: string,
  { refused = [] }: Partial<GradientCoverage> = {},
  names: ReadonlySet<string>,
): Obstacle[] {
  return refused.flatMap(({ node, reason, targets }) => {
    const kept = [...targets].filter((name) => names.has(name));
    return kept.length === 0 || isConsequence(node) ? [] : [obstacle(node, reason, output, kept)];
  });
}

/** Whether a node has no gradient only because another one makes a value of unknown type that it reads. */
function isConsequence({ inputs, operator }: Node): boolean {
  return !holdsWeights(operator) && inputs.some((input) => input?.type.kind === "other");
}

/** An obstacle for each node that is kept as it is and may hold weights, unless `found` has one for it. */
function hiddenParameters(graph: Graph, output: string, found: readonly Obstacle[]): Obstacle[] {
  const needed = nodesFor(graph, [graph.output(output)]);
  const nodes = needed.filter((node) => holdsWeights(node.operator) || readsMatrix(node));
  return nodes
    .filter(({ name }) => !found.some(({ node }) => node === name))
    .map((node) => obstacle(node, node.operator.kept?.reason ?? "", output, []));
}

type Attribute = NonNullable<Node["operator"]["kept"]>["attributes"][number];

/** Whether a node that is kept as it is has graphs or lists of numbers in its attributes. */
function holdsWeights({ kept }: Node["operator"]): boolean {
  const isHeld = ({ g, graphs = [], floats = [], t }: Attribute) =>
    g || graphs.length > 0 || floats.length > 0 || t;
  return kept?.attributes.some(isHeld) ?? false;
}

/** Whether a node that is kept as it is reads a constant that looks like a weight. */
function readsMatrix({ operator, inputs }: Node): boolean {
  const isMatrix = (value: Value | null | undefined) =>
    value?.constant?.elemType === "float" && value.constant.dims.length > 1;
  return operator.kept !== undefined && inputs.some(isMatrix);
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

/**
 * Joins the obstacles of several outputs: each node once for a reason. Where a reason is the end of a longer
 * one, the longer one stays.
 */
function joined(obstacles: readonly Obstacle[]): Obstacle[] {
  const found: Obstacle[] = [];
  for (const each of obstacles) {
    const isSame = ({ node, reason }: Obstacle) =>
      node === each.node && (reason.endsWith(each.reason) || each.reason.endsWith(reason));
    const i = found.findIndex(isSame);
    const known = found[i] ?? { ...each, outputs: [], parameters: [] };
    found[i < 0 ? found.length : i] = {
      ...each,
      reason: known.reason.length > each.reason.length ? known.reason : each.reason,
      outputs: [...new Set([...known.outputs, ...each.outputs])],
      parameters: [...new Set([...known.parameters, ...each.parameters])],
    };
  }
  return found;
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
