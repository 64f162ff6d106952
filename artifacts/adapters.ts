import * as z from "zod/mini";
import {
  decodeModel,
  type Graph,
  globExpression,
  isOp,
  type Node,
  rewriteGraph,
  Tensor,
  UserError,
  type Value,
  withElements,
} from "../graph-builder/index.ts";
import { averagedCheckpoint } from "./averages.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { expectBytes, expectCheckpoint } from "./given-values.ts";
import { initialTensor } from "./initial-checkpoint.ts";
import { parseJson } from "./json.ts";

/** Low-rank adapters of a model's weights (Hu et al. 2021, "LoRA", arXiv 2106.09685). */
export interface LoraOptions {
  /** The rank r of each change of a weight. */
  readonly rank: number;
  /** The change is multiplied by alpha / rank; alpha is the rank by default. */
  readonly alpha?: number | undefined;
  /**
   * Globs that are compared with the names of weights and of the nodes that read them; by default all weights
   * of MatMul, Gemm and Conv that are not trained themselves have adapters.
   */
  readonly targets?: string | readonly string[] | undefined;
}

/** The checkpoint's property that says which tensors change which weights. */
const PROPERTY = "lora";

/** What changes the weights: weight + scale * left * right, as matrices of the weight's first axis. */
export interface Adapters {
  readonly scale: number;
  /** From the weight's name to the names of [first axis, rank] and [rank, the other axes]. */
  readonly weights: Readonly<Record<string, readonly [left: string, right: string]>>;
}

const adaptersSchema = z.object({
  scale: z.number(),
  weights: z.record(z.string(), z.tuple([z.string(), z.string()])),
});

/** A graph with adapters, and their names. */
export interface AdaptedGraph {
  readonly graph: Graph;
  readonly adapters: Adapters;
}

/** The tensors of a checkpoint, and what it says of adapters. */
export type AdaptedWeights = Pick<Checkpoint, "trainable" | "frozen"> &
  Partial<Pick<Checkpoint, "properties">>;

/**
 * Adds `<weight>.lora_A` and `<weight>.lora_B` to the weights of MatMul, Gemm and Conv: the layer reads
 * weight + alpha / rank * B A. A is U(-1/sqrt(inputs), 1/sqrt(inputs)), drawn from the seed as in the paper's
 * code, and B is 0, so the graph computes what it did. Only the layers of a part of the graph have adapters,
 * and no weight that is trained itself. Throws UserError for a rank below 1, where no weight is a target, and
 * where `targets` name a weight that is trained itself.
 */
export function withAdapters(
  graph: Graph,
  { part, trained }: { readonly part: Graph; readonly trained: ReadonlySet<string> },
  { rank, alpha = rank, targets }: LoraOptions,
  seed: number,
): AdaptedGraph {
  const globs = [targets ?? "*"].flat().map((target) => globExpression(target));
  const isTarget = (node: Node, name: string) =>
    globs.some((glob) => glob.test(name) || glob.test(node.name));
  const layers = new Set(part.nodes);
  const weights: Record<string, readonly [string, string]> = {};
  const adapted = rewriteGraph(graph, (node, inputs, g) => {
    const weight = layers.has(node) ? weightOf(node) : undefined;
    const own = inputs[1];
    if (!weight?.constant || !own || weight.name === undefined || !isTarget(node, weight.name))
      return undefined;
    if (trained.has(weight.name)) {
      if (targets === undefined) return undefined;
      throw trainedItself(weight.name);
    }
    const { left, right } = factorsOf(node, weight.name, weight.constant.dims, rank, seed);
    weights[weight.name] = [left.name, right.name];
    const change = g.MatMul(g.constant(left.tensor, left.name), g.constant(right.tensor, right.name));
    const scaled = g.Mul(change, g.float(alpha / rank));
    const { dims } = weight.constant;
    const shaped = dims.length === 2 ? scaled : g.Reshape(scaled, g.int64(dims));
    return g.copy(node, inputs.toSpliced(1, 1, g.Add(own, shaped)), node.name).outputs;
  });
  if (Object.keys(weights).length > 0) return { graph: adapted, adapters: { scale: alpha / rank, weights } };
  const reason = targets
    ? `No weight of a MatMul, Gemm or Conv matches ${[targets].flat().join(", ")}.`
    : "No weight of a MatMul, Gemm or Conv is left for adapters.";
  throw new UserError(reason, { code: "parameter-unknown", details: { setting: "lora", targets } });
}

function trainedItself(weight: string): UserError {
  return new UserError(
    `${weight} is trained itself, so it has no adapter: leave it out of trainable, or out of the targets of lora.`,
    { code: "setting-conflict", details: { setting: "lora", parameter: weight } },
  );
}

/** The constant that a layer multiplies by, where one node alone reads it. */
function weightOf(node: Node): Value | undefined {
  if (!isOp(node, "MatMul", "Gemm", "Conv")) return undefined;
  const weight = node.inputs[1];
  const isWeight = weight?.constant?.elemType === "float" && weight.constant.dims.length > 1;
  return isWeight && weight.uses.length === 1 && (isOp(node, "Conv") || weight.shape.length === 2)
    ? weight
    : undefined;
}

interface Factor {
  readonly name: string;
  readonly tensor: Tensor;
}

function factorsOf(
  node: Node,
  weight: string,
  [first = 1, ...others]: readonly number[],
  rank: number,
  seed: number,
): { readonly left: Factor; readonly right: Factor } {
  const rest = others.reduce((product, dim) => product * dim, 1);
  // a weight [inputs, outputs] has A on its left side
  const isInputsFirst = isOp(node, "MatMul") || (isOp(node, "Gemm") && node.attributes.transB === 0);
  const [a, b] = [`${weight}.lora_A`, `${weight}.lora_B`];
  const drawn = (inputs: number) =>
    initialTensor(
      { name: a, shape: [rank, inputs], initialization: "uniform-fan-in", kind: "parameter" },
      seed,
    );
  const zeros = (shape: readonly [number, number]) =>
    initialTensor({ name: b, shape, initialization: "zeros", kind: "parameter" }, seed);
  return isInputsFirst
    ? { left: { name: a, tensor: transposed(drawn(first)) }, right: { name: b, tensor: zeros([rank, rest]) } }
    : { left: { name: b, tensor: zeros([first, rank]) }, right: { name: a, tensor: drawn(rest) } };
}

function transposed({ dims: [rows = 0, columns = 0], data }: Tensor): Tensor {
  const out = Float32Array.from({ length: data.length }, (_, i) =>
    Number(data[(i % rows) * columns + Math.floor(i / rows)]),
  );
  return new Tensor("float", [columns, rows], out);
}

/** The checkpoint's properties that keep adapters. */
export function adapterProperties(adapters: Adapters): ReadonlyMap<string, string> {
  return new Map([[PROPERTY, JSON.stringify(adapters)]]);
}

/** The names of the adapters' tensors. */
export function adapterNames({ weights }: Adapters): string[] {
  return Object.values(weights).flat();
}

function adaptersIn({ properties }: AdaptedWeights): Adapters | undefined {
  const text = properties?.get(PROPERTY);
  if (text === undefined) return undefined;
  const where = `The checkpoint's property ${PROPERTY}`;
  return parseJson(adaptersSchema, String(text), { where, code: "checkpoint-damaged" });
}

/** The tensors of a checkpoint by name, with the changes of its adapters added to the weights. */
export function mergedTensors(checkpoint: AdaptedWeights): Map<string, Tensor> {
  const tensors = new Map([...checkpoint.trainable, ...checkpoint.frozen]);
  const adapters = adaptersIn(checkpoint);
  for (const [weight, sides] of Object.entries(adapters?.weights ?? {})) {
    const [base, left, right] = [weight, ...sides].map((name) => tensors.get(name));
    if (base && left && right) tensors.set(weight, changed(base, left, right, adapters?.scale ?? 1));
  }
  return tensors;
}

/** weight + scale * left * right, summed in double precision and rounded once. */
function changed({ dims, data }: Tensor, left: Tensor, right: Tensor, scale: number): Tensor {
  const [first = 1, rank = 1] = left.dims;
  const rest = data.length / first;
  const out = Float32Array.from({ length: data.length }, (_, i) => {
    const [row, column] = [Math.floor(i / rest), i % rest];
    let sum = 0;
    for (let k = 0; k < rank; k++) {
      sum += Number(left.data[row * rank + k]) * Number(right.data[k * rest + column]);
    }
    return Number(data[i]) + scale * sum;
  });
  return new Tensor("float", dims, out);
}

/**
 * A checkpoint of the adapters alone: a small file of changes, which `applyAdapters` adds to the base model.
 * Throws UserError where the checkpoint has no adapters.
 */
export function adaptersOf(checkpoint: AdaptedWeights): Checkpoint {
  expectCheckpoint("adaptersOf", checkpoint);
  const adapters = adaptersIn(checkpoint);
  if (!adapters) throw withoutAdapters();
  const names = new Set(adapterNames(adapters));
  const { trainable, frozen } = averagedCheckpoint({ properties: new Map(), ...checkpoint });
  const all = [...trainable, ...frozen];
  const properties = new Map(adapterProperties(adapters));
  return { trainable: new Map(all.filter(([name]) => names.has(name))), frozen: new Map(), properties };
}

/**
 * The base model's file with the changes of adapters in its weights. Throws UserError where the changes have
 * no adapters, or are of another model.
 */
export function applyAdapters(model: Uint8Array, changes: AdaptedWeights): Uint8Array {
  expectBytes("The model of applyAdapters", model);
  expectCheckpoint("applyAdapters", changes);
  const adapters = adaptersIn(changes);
  if (!adapters) throw withoutAdapters();
  const { graph } = decodeModel(model, "the model", { uncovered: "keep" });
  const constants = new Map(graph.initializers.map(({ name = "", constant }) => [name, constant]));
  const weights = Object.keys(adapters.weights).map((name): [string, Tensor] => {
    const tensor = constants.get(name);
    if (tensor) return [name, tensor];
    throw new UserError(`The model has no weight ${name}, which the adapters change.`, {
      code: "parameter-unknown",
      details: { parameter: name },
    });
  });
  const merged = mergedTensors({ ...changes, frozen: new Map([...changes.frozen, ...weights]) });
  return withElements(model, new Map(weights.map(([name, base]) => [name, merged.get(name) ?? base])));
}

function withoutAdapters(): UserError {
  return new UserError("The checkpoint has no adapters: its artifacts were made without lora.", {
    code: "parameter-unknown",
  });
}
