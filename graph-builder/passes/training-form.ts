import { at } from "../at.ts";
import type { Binding, BoundGraph } from "../bindings.ts";
import type { Builder } from "../builder.ts";
import { drawBase } from "../counter-hash.ts";
import { UserError } from "../errors.ts";
import { type Graph, isOp, type Node, type Use, type Value } from "../ir.ts";
import { layerName, statisticNames } from "../layer-names.ts";
import { freeName, givenNames, isUsed } from "../names.ts";
import type { Tensor } from "../tensor.ts";
import { isHalfType } from "../types.ts";
import { drawnDropout } from "./drawn-dropout.ts";
import { drawnOutput, draws, type NodeDraw } from "./drawn-numbers.ts";
import { rewriteGraph } from "./rewrite.ts";

/** Which layers of a graph are trained. */
export interface TrainingFormOptions {
  /** Whether a layer is put into training form; by default every layer is. The others stay as they are. */
  readonly includes?: (layer: Node) => boolean;
}

/** A graph in training form, and the graph that evaluates it over the same state. */
export interface TrainingForm extends BoundGraph {
  /**
   * The same graph for evaluation: batch normalisation reads its running statistics, and nothing is dropped.
   * Its inputs are those of `graph` without the random ones.
   */
  readonly evaluation: Graph;
  /** The first values of the statistics, by the names of their inputs. */
  readonly statistics: ReadonlyMap<string, Tensor>;
}

/**
 * Puts the layers of an inference graph into training form.
 * - BatchNormalization becomes BatchNormInternal, which normalises by the statistics of the batch, with the
 *   same momentum and epsilon. Its running mean and variance become inputs of the graph, behind the inputs
 *   that it has, with bindings of the role `statistic`. Exporters merge equal constants, so a constant that
 *   something else reads too is copied for each layer: the copy is named after the layer's scale.
 * - Dropout is switched on (`drawnDropout`); one with a constant ratio of 0 is taken out. Other nodes that
 *   draw random numbers draw those of `drawnOutput`. The numbers depend on two inputs behind the others,
 *   `random_seed` and `random_step` (int64 [1], with bindings of these roles), and on the node's name: a
 *   training that is resumed at the same step draws the same ones.
 * Batch normalisations keep their names. Throws UserError, naming the node, where running statistics are no
 * constants, or have 16 bits.
 */
export function trainingForm(
  graph: Graph,
  { includes = () => true }: TrainingFormOptions = {},
): TrainingForm {
  const isTrained = (node: Node) => isLayer(node) && includes(node);
  const trained = new Set(graph.nodes.filter(isTrained).map(({ name }) => name));
  const { evaluation, statistics } = withStatistics(graph, trained);
  const random = new RandomNodes(evaluation);
  const training = rewriteGraph(evaluation, (node, inputs, g) => {
    if (!trained.has(node.name)) return undefined;
    if (isOp(node, "BatchNormalization")) {
      const { epsilon, momentum } = node.attributes;
      return g.node("BatchNormInternal", inputs, { epsilon, momentum, training_mode: 1 }, node.name).outputs;
    }
    return random.append(g, node, inputs);
  });
  const bindings = [...statistics.keys()].map((input): Binding => ({ role: "statistic", input }));
  return { graph: training, bindings: [...bindings, ...random.bindings], evaluation, statistics };
}

/** The nodes of a graph in training form that draw numbers, which share the inputs that these depend on. */
class RandomNodes {
  readonly bindings: Binding[] = [];
  readonly #graph: Graph;
  readonly #inputNames: Set<string>;
  readonly #streams = new Set<string>();
  #base: Value | undefined;

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#inputNames = givenNames(graph);
  }

  /** Appends what a node computes in training; undefined for one that draws nothing. */
  append(g: Builder, node: Node, inputs: readonly (Value | null)[]): readonly Value[] | undefined {
    if (isOp(node, "Dropout")) return this.#appendDropout(g, node, inputs);
    return draws(node) ? [drawnOutput(g, node, inputs, this.#draw(g, node))] : undefined;
  }

  #appendDropout(g: Builder, node: Node, [X, ratio = null]: readonly (Value | null)[]): readonly Value[] {
    if (!X) throw new Error(`Dropout at ${node.name} has no data`);
    const isMaskRead = isUsed(this.#graph, node.output(1));
    if (ratio?.constant?.numbers()[0] === 0 && !isMaskRead) return [X];
    return drawnDropout(g, [X, ratio], this.#draw(g, node));
  }

  #draw(g: Builder, node: Node): NodeDraw {
    const stream = freeName(node.name, this.#streams);
    this.#base ??= this.#appendBase(g);
    return { base: this.#base, stream };
  }

  #appendBase(g: Builder): Value {
    const inputs = (["random-seed", "random-step"] as const).map((role) => {
      const input = freeName(role.replace("-", "_"), this.#inputNames);
      this.bindings.push({ role, input });
      return g.input(input, "int64", [1]);
    });
    return drawBase(g, at(inputs, 0), at(inputs, 1));
  }
}

function isLayer(node: Node): boolean {
  return isOp(node, "BatchNormalization", "Dropout") || draws(node);
}

/** The graph in inference form, in which the statistics of the trained layers are inputs. */
function withStatistics(
  graph: Graph,
  trained: ReadonlySet<string>,
): Pick<TrainingForm, "evaluation" | "statistics"> {
  const statistics = new Map<string, Tensor>();
  const taken = givenNames(graph);
  const statisticOf = (g: Builder, node: Node, index: number): Value => {
    const { name, type, constant, uses } = originOf(node.input(index));
    if (!constant) return refuseStatistic(node, index, "is no constant");
    if (isHalf(constant)) return refuseStatistic(node, index, `is ${constant.elemType} and must be float`);
    const own = name !== undefined && readers(uses) === 1 ? name : undefined;
    const input = own ?? freeName(`${layerName(node)}.${statisticNames[index - 3]}`, taken);
    statistics.set(input, constant);
    return g.inputOf(input, type);
  };
  const evaluation = rewriteGraph(graph, (node, inputs, g) => {
    if (!trained.has(node.name)) return undefined;
    if (isOp(node, "Dropout")) return g.copy(node, inputs.slice(0, 2), node.name).outputs;
    if (!isOp(node, "BatchNormalization")) return undefined;
    const [mean, variance] = [statisticOf(g, node, 3), statisticOf(g, node, 4)];
    const attributes = { ...node.attributes, training_mode: 0 };
    const [Y] = g.copy(node, [...inputs.slice(0, 3), mean, variance], node.name, attributes).outputs;
    return [Y ?? null, mean, variance];
  });
  return { evaluation, statistics };
}

/** What a value is a copy of: exporters put an Identity between a merged constant and its readers. */
function originOf(value: Value): Value {
  return isOp(value.producer, "Identity") ? originOf(value.producer.input(0)) : value;
}

/** How many nodes read a value, themselves or through Identity. */
function readers(uses: readonly Use[]): number {
  const counts = uses.map(({ node }) => (isOp(node, "Identity") ? readers(node.output(0).uses) : 1));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** A momentum of 16 bits would not move, and checkpoints have no such tensors. */
function isHalf({ elemType }: Tensor): boolean {
  return isHalfType(elemType);
}

function refuseStatistic({ name, operator }: Node, index: number, reason: string): never {
  const input = operator.inputs[index];
  throw new UserError(`BatchNormalization at ${name} cannot be trained: its ${input} ${reason}.`, {
    code: "model-unsupported",
    details: { node: name, opType: "BatchNormalization", input },
  });
}
