import * as z from "zod/mini";
import {
  decodeModel,
  type Graph,
  globExpression,
  isHalfType,
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
  const adaptable = adaptableWeights(part, trained, targets);
  const weights: Record<string, readonly [string, string]> = {};
  const adapted = rewriteGraph(graph, (node, inputs, g) => {
    const index = node.inputs.findIndex((input) => input && adaptable.has(input));
    const [read, own] = [node.inputs[index], inputs[index]];
    const weight = read && adaptable.get(read);
    if (!weight || !own) return undefined;
    const { left, right } = factorsOf(weight, rank, seed);
    weights[weight.name] = [left.name, right.name];
    const change = g.MatMul(g.constant(left.tensor, left.name), g.constant(right.tensor, right.name));
    const scaled = g.Mul(change, g.float(alpha / rank));
    const { dims } = weight;
    const shaped = dims.length === 2 ? scaled : g.Reshape(scaled, g.int64(dims));
    return g.copy(node, inputs.toSpliced(index, 1, g.Add(own, shaped)), node.name).outputs;
  });
  if (Object.keys(weights).length > 0) return { graph: adapted, adapters: { scale: alpha / rank, weights } };
  const reason = targets
    ? `No weight of a MatMul, Gemm or Conv matches ${[targets].flat().join(", ")}.`
    : "No weight of a MatMul, Gemm or Conv is left for adapters.";
  throw new UserError(reason, { code: "parameter-unknown", details: { setting: "lora", targets } });
}

/** The weights of a part of a graph that are targets and not trained themselves. */
function adaptableWeights(
  part: Graph,
  trained: ReadonlySet<string>,
  targets: LoraOptions["targets"],
): ReadonlyMap<Value, Weight> {
  const globs = [targets ?? "*"].flat().map((target) => globExpression(target));
  const found = new Map<Value, Weight>();
  for (const node of part.nodes) {
    const weight = weightOf(node);
    if (!weight || !globs.some((glob) => glob.test(weight.name) || glob.test(node.name))) continue;
    if (!trained.has(weight.name)) found.set(weight.value, weight);
    else if (targets !== undefined) throw trainedItself(weight.name);
  }
  return found;
}

function trainedItself(weight: string): UserError {
  return new UserError(
    `${weight} is trained itself, so it has no adapter: leave it out of trainable, or out of the targets of lora.`,
    { code: "setting-conflict", details: { setting: "lora", parameter: weight } },
  );
}

/** A constant that a layer multiplies by. */
interface Weight {
  readonly name: string;
  readonly value: Value;
  readonly dims: readonly number[];
  /** Whether it is [inputs, outputs], and not [outputs, inputs, ...]. */
  readonly isInputsFirst: boolean;
}

/**
 * The constant that a layer multiplies by, where one node alone reads it, straight or through Transpose, Cast
 * and Identity: exporters write a Linear over several axes as the MatMul of a transposed weight.
 */
function weightOf(node: Node): Weight | undefined {
  if (!isOp(node, "MatMul", "Gemm", "Conv")) return undefined;
  const isTransposing = isOp(node, "MatMul") || (isOp(node, "Gemm") && node.attributes.transB === 0);
  let [value, isInputsFirst] = [node.input(1), isTransposing];
  while (value.uses.length === 1 && isOp(value.producer, "Transpose", "Cast", "Identity")) {
    if (isOp(value.producer, "Transpose")) {
      if (value.shape.length !== 2) return undefined;
      const { perm = [1, 0] } = value.producer.attributes;
      isInputsFirst = isInputsFirst === (perm[0] === 0);
    }
    value = value.producer.input(0);
  }
  const { name, constant, uses } = value;
  if (name === undefined || constant?.elemType !== "float" || uses.length !== 1) return undefined;
  const { dims } = constant;
  const isMatrix = dims.length === 2 || (isOp(node, "Conv") && dims.length > 1);
  return isMatrix ? { name, value, dims, isInputsFirst } : undefined;
}

interface Factor {
  readonly name: string;
  readonly tensor: Tensor;
}

function factorsOf(
  { name, dims: [first = 1, ...others], isInputsFirst }: Weight,
  rank: number,
  seed: number,
): { readonly left: Factor; readonly right: Factor } {
  const rest = others.reduce((product, dim) => product * dim, 1);
  const [a, b] = [`${name}.lora_A`, `${name}.lora_B`];
  const drawn = (inputs: number) =>
    initialTensor(
      { name: a, shape: [rank, inputs], initialization: "uniform-fan-in", kind: "parameter" },
      seed,
    );
  const zeros = (shape: readonly [number, number]) =>
    initialTensor({ name: b, shape, initialization: "zeros", kind: "parameter" }, seed);
  // a weight [inputs, outputs] has A on its left side
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
  expectBytes("model", "The model of applyAdapters", model);
  expectCheckpoint("applyAdapters", changes);
  const adapters = adaptersIn(changes);
  if (!adapters) throw withoutAdapters();
  const { graph } = decodeModel(model, "the model", { uncovered: "keep" });
  const constants = new Map(graph.initializers.map(({ name = "", constant }) => [name, constant]));
  const weights = Object.keys(adapters.weights).map((name): [string, Tensor] => {
    const tensor = constants.get(name);
    if (tensor) return [name, inFloat(tensor)];
    throw new UserError(`The model has no weight ${name}, which the adapters change.`, {
      code: "parameter-unknown",
      details: { parameter: name },
    });
  });
  const merged = mergedTensors({ ...changes, frozen: new Map([...changes.frozen, ...weights]) });
  return withElements(model, new Map(weights.map(([name, base]) => [name, merged.get(name) ?? base])));
}

/** A tensor of 16 bits as floats; another one as it is. */
function inFloat(tensor: Tensor): Tensor {
  if (!isHalfType(tensor.elemType)) return tensor;
  return new Tensor("float", tensor.dims, Float32Array.from(tensor.numbers()));
}

function withoutAdapters(): UserError {
  return new UserError("The checkpoint has no adapters: its artifacts were made without lora.", {
    code: "parameter-unknown",
  });
}
