import {
  at,
  decodeModel,
  formatType,
  type Graph,
  isHalfType,
  isOp,
  type Model,
  type Node,
  nodesFor,
  RandomStream,
  Tensor,
  tensorType,
  UserError,
  type Value,
  withReshapedTensors,
} from "../graph-builder/index.ts";
import { expectFittingTensor } from "./checkpoint-size.ts";

/** A last layer for another number of classes. */
export interface NewHead {
  readonly classes: number;
  /** The seed of its weights. */
  readonly seed: number;
}

/** A file whose last layer has been replaced. */
export interface ReplacedHead {
  readonly bytes: Uint8Array;
  /** The names of the tensors that are new. */
  readonly names: readonly string[];
}

/** A constant of the last layer and its axis along the classes. */
interface HeadTensor {
  readonly name: string;
  readonly tensor: Tensor;
  readonly axis: number;
}

/**
 * An .onnx file whose last layer with a weight (Gemm, MatMul with its Add, or Conv) before `output` is for
 * another number of classes. Its weight and bias are drawn anew from U(-1/sqrt(k), 1/sqrt(k)), where k is the
 * number of inputs of each output (torch.nn.Linear and torch.nn.Conv2d). What follows must pass the classes
 * on: the output keeps its shape but for their axis. A file whose layer has that number already stays as it
 * is. Throws UserError where the layer cannot be told.
 */
export function replaceHead(
  bytes: Uint8Array,
  { graph }: Model,
  output: string,
  { classes, seed }: NewHead,
): ReplacedHead {
  const layer = lastLayer(graph, output);
  const [weight, ...biases] = tensorsOf(layer);
  if (!weight)
    return refuse(output, `the weight of ${layer.opType} at ${layer.name} is no constant of its own`);
  const old = at(weight.tensor.dims, weight.axis);
  if (old === classes) return { bytes, names: [] };
  const fanIn = weight.tensor.data.length / old;
  const replaced = [weight, ...biases].map((each) => ({
    name: each.name,
    elemType: each.tensor.elemType,
    tensor: drawn(each, classes, fanIn, seed),
  }));
  const behind = valuesBehind(
    graph,
    replaced.map(({ name }) => name),
  );
  const forgotten = new Map([...behind].map((name) => [name, undefined]));
  const tensors = new Map(replaced.map(({ name, tensor }) => [name, tensor]));
  const reshaped = withReshapedTensors(bytes, { tensors, types: forgotten });
  const { graph: changed } = decodeAnew(reshaped, output);
  expectClasses(graph.output(output), changed.output(output), old, classes);
  const outputs = changed.outputs.filter(({ name = "" }) => behind.has(name));
  const types = new Map([
    ...replaced.map(({ name, elemType, tensor }) => [name, tensorType(elemType, tensor.dims)] as const),
    ...outputs.map(({ name = "", type }) => [name, type.kind === "other" ? undefined : type] as const),
  ]);
  return { bytes: withReshapedTensors(reshaped, { tensors: new Map(), types }), names: [...tensors.keys()] };
}

function refuse(output: string, reason: string): never {
  throw new UserError(`The last layer before ${output} cannot be replaced: ${reason}.`, {
    code: "model-unsupported",
    details: { output, reason },
  });
}

function lastLayer(graph: Graph, output: string): Node {
  const layers = nodesFor(graph, [graph.output(output)]).filter(
    (node) => isOp(node, "Gemm", "MatMul", "Conv") && originOf(node.input(1)).constant !== undefined,
  );
  return layers.at(-1) ?? refuse(output, "no Gemm, MatMul or Conv with a constant weight leads to it");
}

/** What a value is a copy of, which may be transposed or of another type. */
function originOf(value: Value): Value {
  return isOp(value.producer, "Transpose", "Identity", "Cast") ? originOf(value.producer.input(0)) : value;
}

/** The weight and the bias of a layer; nothing where the weight is read elsewhere too, or is no float. */
function tensorsOf(layer: Node): HeadTensor[] {
  const isChannels = isOp(layer, "Conv");
  if (isChannels && layer.attributes.group !== 1) return [];
  const isTransposed = isOp(layer, "Gemm") && layer.attributes.transB === 1;
  const rank = layer.input(1).shape.length;
  const weight = headTensor(layer.input(1), isChannels || isTransposed ? 0 : rank - 1);
  if (!weight || (isOp(layer, "MatMul") && rank !== 2)) return [];
  const classes = at(weight.tensor.dims, weight.axis);
  const direct = layer.inputs[2];
  if (direct) return withBias(weight, direct, isChannels ? 0 : direct.shape.length - 1, classes);
  const product = lastCopyOf(layer.output(0));
  const [use] = product.uses;
  const sum = isOp(use?.node, "Add") && product.uses.length === 1 ? use?.node : undefined;
  const added = sum?.inputs.find((input) => input !== product);
  if (!added || originOf(added).constant === undefined) return [weight];
  return withBias(weight, added, added.shape.length - 1, classes);
}

/** What a value alone is read as behind Casts, which Keras's exporter writes between all layers. */
function lastCopyOf(value: Value): Value {
  const [use, ...others] = value.uses;
  return others.length === 0 && isOp(use?.node, "Cast", "Identity") ? lastCopyOf(use.node.output(0)) : value;
}

/** The weight and a bias along the classes; the weight alone where one number is added to all of them. */
function withBias(weight: HeadTensor, bias: Value, axis: number, classes: number): HeadTensor[] {
  if (bias.shape.at(axis) !== classes || axis < 0) return bias.constant?.data.length === 1 ? [weight] : [];
  const tensor = headTensor(bias, axis);
  return tensor ? [weight, tensor] : [];
}

function headTensor(value: Value, axis: number): HeadTensor | undefined {
  const { name, constant, producer, uses } = value;
  if (uses.length !== 1) return undefined;
  if (constant) {
    const isFloat = constant.elemType === "float" || isHalfType(constant.elemType);
    return name !== undefined && isFloat ? { name, tensor: constant, axis } : undefined;
  }
  if (isOp(producer, "Identity", "Cast")) return headTensor(producer.input(0), axis);
  if (!isOp(producer, "Transpose")) return undefined;
  const { perm } = producer.attributes;
  return headTensor(producer.input(0), perm ? at(perm, axis) : value.shape.length - 1 - axis);
}

function drawn({ name, tensor, axis }: HeadTensor, classes: number, fanIn: number, seed: number): Tensor {
  const dims = tensor.dims.with(axis, classes);
  expectFittingTensor(name, dims);
  const data = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
  new RandomStream(seed, `initial/${name}`).fillUniform(data);
  const bound = 1 / Math.sqrt(fanIn);
  return new Tensor(
    "float",
    dims,
    data.map((value) => (2 * value - 1) * bound),
  );
}

/** The names of the values that are computed from some constants. */
function valuesBehind(graph: Graph, constants: readonly string[]): ReadonlySet<string> {
  const start = graph.initializers.filter(({ name = "" }) => constants.includes(name));
  const found = new Set(start);
  for (const { inputs, outputs } of graph.nodes) {
    if (inputs.some((input) => input && found.has(input))) for (const output of outputs) found.add(output);
  }
  for (const value of start) found.delete(value);
  return new Set([...found].flatMap(({ name }) => name ?? []));
}

function decodeAnew(bytes: Uint8Array, output: string) {
  try {
    return decodeModel(bytes, "the model", { uncovered: "keep" });
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return refuse(
      output,
      `what follows it needs its number of classes (${error.message.replace(/\.$/, "")})`,
    );
  }
}

/** Throws UserError where the output has other dimensions than before, but for one of the classes. */
function expectClasses(before: Value, after: Value, old: number, classes: number): void {
  const shapes = [before, after].map(({ type }) => (type.kind === "tensor" ? type.shape.map(String) : []));
  const [was = [], is = []] = shapes;
  const changed = was.flatMap((dim, i) => (dim === is[i] ? [] : [`${dim} ${is[i]}`]));
  if (was.length === is.length && changed.length === 1 && changed[0] === `${old} ${classes}`) return;
  const types = `${formatType(after.type)} in place of ${formatType(before.type)}`;
  const isKnown = after.type.kind === "tensor";
  refuse(
    before.name ?? "",
    isKnown ? `its output would be ${types}` : "what follows it needs its number of classes",
  );
}
