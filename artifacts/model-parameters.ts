import { type Graph, isOp, type Node, type Tensor, type Use, type Value } from "../graph-builder/index.ts";
import { ownEntry } from "../graph-builder/own-entry.ts";

/** A node that reads a parameter, straight or through operators that only move or join constants. */
export interface ParameterLayer {
  readonly node: string;
  readonly opType: string;
  /** The module's path that PyTorch's exporter notes in the node's metadata, such as `classifier.1`. */
  readonly module: string | undefined;
}

/** A float tensor of a model that a layer reads as its weight, bias or scale. */
export interface ModelParameter {
  readonly name: string;
  readonly tensor: Tensor;
  readonly value: Value;
  readonly layers: readonly ParameterLayer[];
}

/** A named constant of a model. */
export interface NamedConstant {
  readonly name: string;
  readonly tensor: Tensor;
  readonly value: Value;
}

/** The inputs of layers that are weights, by the operator. */
const weightInputs: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Gemm: [0, 1, 2],
  MatMul: [0, 1],
  FusedMatMul: [0, 1],
  Einsum: [0, 1, 2, 3],
  BatchNormalization: [1, 2],
  BatchNormInternal: [1, 2],
  LayerNormalization: [1, 2],
  SimplifiedLayerNormalization: [1],
  RMSNormalization: [1],
  InstanceNormalization: [1, 2],
  GroupNormalization: [1, 2],
  Gather: [0],
  PRelu: [1],
  FastGelu: [1],
  LSTM: [1, 2, 3, 7],
  GRU: [1, 2, 3],
  RNN: [1, 2, 3],
};

/** The layers whose parameters are a head: products with a weight. */
const productLayers = new Set([
  "Conv",
  "ConvTranspose",
  "Gemm",
  "MatMul",
  "FusedMatMul",
  "LSTM",
  "GRU",
  "RNN",
]);

/** Operators through which a free-standing parameter joins the activations, such as a position embedding. */
const joiningOperators = new Set(["Add", "Sub", "Mul", "Div", "Concat", "Sum"]);

/** Names that exporters give to numbers of the program, which are no parameters. */
const exporterName = /^(onnx::|val_\d|_|const)|\bconstant|constant_|_constant/i;

/**
 * The parameters of a graph in the order of their first use. These are the float constants that
 * - a layer reads as its weight, bias or scale, straight or through other operators over constants;
 * - are added to a layer's output as its bias, or scale and shift what a normalisation made;
 * - join activations behind the first layer and have a name that no exporter made up (a scale, a position
 *   embedding). Those with an infinite or very large element are masks and do not count.
 * Single numbers count only where a layer reads them.
 */
export function parametersOf(graph: Graph): ModelParameter[] {
  const found = new Map<Value, ParameterLayer[]>();
  const constants = constantCones(graph);
  const behindLayers = new Set<Value>();
  for (const node of graph.nodes) {
    const weights = weightsOf(node, behindLayers, constants);
    for (const value of weights) {
      const layers = found.get(value) ?? [];
      found.set(value, [...layers, layerOf(node)]);
    }
    const isBehind = weights.length > 0 || node.inputs.some((input) => input && behindLayers.has(input));
    if (isBehind) for (const output of node.outputs) behindLayers.add(output);
  }
  return [...found].flatMap(([value, layers]) => {
    const constant = asConstant(value);
    return constant ? [{ ...constant, layers }] : [];
  });
}

/** The names of the parameters of the last product with a weight, and of all layers behind it. */
export function headOf(graph: Graph, parameters: readonly ModelParameter[]): ReadonlySet<string> {
  const index = new Map(graph.nodes.map(({ name }, i) => [name, i]));
  const places = parameters.flatMap(({ layers }) =>
    layers.filter(({ opType }) => productLayers.has(opType)).map(({ node }) => index.get(node) ?? -1),
  );
  const last = Math.max(-1, ...places);
  const isBehind = ({ node }: ParameterLayer) => (index.get(node) ?? -1) >= last;
  return new Set(parameters.filter(({ layers }) => layers.every(isBehind)).map(({ name }) => name));
}

/** The named float constants of a graph that may be trained where the user names them. */
export function floatConstants(graph: Graph): ReadonlyMap<string, NamedConstant> {
  const values = graph.initializers.filter((value) => !isStatistic(value));
  const constants = values.flatMap((value) => asConstant(value) ?? []);
  return new Map(constants.map((constant) => [constant.name, constant]));
}

/**
 * Whether a value is a running mean or variance and nothing else. PyTorch's older exporter reads equal ones
 * of several layers through Identity.
 */
export function isStatistic({ uses }: Value): boolean {
  const isRead = ({ node, index }: Use): boolean =>
    isOp(node, "Identity") ? isStatistic(node.output(0)) : isOp(node, "BatchNormalization") && index > 2;
  return uses.length > 0 && uses.every(isRead);
}

function asConstant(value: Value): NamedConstant | undefined {
  const { name, constant: tensor } = value;
  return name !== undefined && tensor?.elemType === "float" ? { name, tensor, value } : undefined;
}

/** The constants that a node reads as parameters. */
function weightsOf(
  node: Node,
  behindLayers: ReadonlySet<Value>,
  constants: ReadonlyMap<Value, readonly Value[]>,
): Value[] {
  const slots = ownEntry(weightInputs, node.opType);
  const coneOf = (value: Value | null | undefined) => (value && constants.get(value)) ?? [];
  // an operator over constants alone is a part of the weight that its result is
  if (node.outputs.some((output) => constants.has(output))) return [];
  if (slots) {
    const weights = slots.flatMap((slot) => coneOf(node.inputs[slot]));
    return weights.filter((value) => isFloat(value) && !isMadeUp(value));
  }
  if (!joiningOperators.has(node.opType)) return [];
  if (!node.inputs.some((input) => input && behindLayers.has(input))) return [];
  return node.inputs
    .flatMap(coneOf)
    .filter((value) => isBias(node, value) || isAffine(node, value) || isFreeStanding(value));
}

/**
 * Operators that take the elements of their first input elsewhere; their other inputs are shapes and places.
 */
const movingOperators = new Set(["Expand", "Reshape", "Resize", "Slice", "Squeeze", "Tile", "Unsqueeze"]);

/**
 * The constants that each value is computed from, for values that nothing else goes into but shapes and
 * places: exporters expand a class token to the batch, and cut or resize a position embedding to the size of
 * the input.
 */
function constantCones(graph: Graph): ReadonlyMap<Value, readonly Value[]> {
  const cones = new Map<Value, readonly Value[]>(graph.initializers.map((value) => [value, [value]]));
  for (const { inputs, outputs, operator, opType } of graph.nodes) {
    const read = movingOperators.has(opType) ? inputs.slice(0, 1) : inputs;
    const given = read.filter((input) => input !== null);
    if (operator.isRandom || given.length === 0 || !given.every((input) => cones.has(input))) continue;
    const cone = [...new Set(given.flatMap((input) => cones.get(input) ?? []))];
    for (const output of outputs) cones.set(output, cone);
  }
  return cones;
}

function isFloat({ constant }: Value): boolean {
  return constant?.elemType === "float";
}

/**
 * Whether a vector is added to what a product made, along the axis of the product's channels. The bias of a
 * single output has one element, as a number of the program has; an exporter's name tells those.
 */
function isBias(node: Node, { name = "", constant }: Value): boolean {
  if (node.opType !== "Add" || constant?.elemType !== "float") return false;
  const { data, dims } = constant;
  if (data.length === 1 && exporterName.test(name)) return false;
  if (Math.max(1, ...dims) !== data.length) return false;
  const { shape } = node.output(0);
  const axes = node.inputs.flatMap((input) => (input && channelsOf(input)) ?? []);
  // a vector of one axis may be moved to the channels by a Reshape in front of the Add
  const isLast = dims.at(-1) === data.length;
  return axes.some(
    (axis) => shape[axis] === data.length && (isLast || dims.at(axis - shape.length) === data.length),
  );
}

/** The axis of the channels of what a product made; a Cast or a Transpose may be between. */
function channelsOf({ producer, shape }: Value): number | undefined {
  if (isOp(producer, "MatMul", "Gemm", "FusedMatMul")) return shape.length - 1;
  if (isOp(producer, "Conv", "ConvTranspose")) return 1;
  if (isOp(producer, "Cast")) return channelsOf(producer.input(0));
  if (!isOp(producer, "Transpose")) return undefined;
  const axis = channelsOf(producer.input(0));
  const order = producer.attributes.perm ?? shape.map((_, i) => shape.length - 1 - i);
  return axis === undefined ? undefined : order.indexOf(axis);
}

/**
 * Whether a tensor scales or shifts what a normalisation made: torch.onnx.export(dynamo=True) writes group
 * normalisation so, and calls the folded tensors `val_22`.
 */
function isAffine(node: Node, { constant }: Value): boolean {
  if (constant?.elemType !== "float" || constant.data.length < 2) return false;
  return isOp(node, "Mul", "Add") && node.inputs.some((input) => input && isNormalised(input));
}

/** Whether a value is what a normalisation made, in another shape or scaled by a constant. */
function isNormalised({ producer }: Value): boolean {
  if (isOp(producer, "InstanceNormalization", "LayerNormalization")) return true;
  if (isOp(producer, "Reshape")) return isNormalised(producer.input(0));
  return isOp(producer, "Mul") && producer.inputs.some((input) => input && isNormalised(input));
}

/**
 * Whether a vector of equal numbers, or a single number that is expanded to one, was made up by an exporter:
 * torch.onnx.export(dynamo=True) writes a bias of zeros for a layer that has none, with optimize=False as an
 * expanded 0, and the older exporter a scale of ones for group normalisation.
 */
function isMadeUp({ name = "", constant }: Value): boolean {
  if (constant?.elemType !== "float" || constant.dims.length > 1 || !exporterName.test(name)) return false;
  const [first] = constant.data;
  return constant.data.every((element: number | bigint) => element === first);
}

/** Whether a layer reads a value as its weight, bias or scale, and the exporter made it up for the layer. */
export function isMadeUpWeight(value: Value): boolean {
  const isRead = ({ node, index }: Use): boolean =>
    isOp(node, "Identity")
      ? node.output(0).uses.some(isRead)
      : (ownEntry(weightInputs, node.opType)?.includes(index) ?? false);
  return isMadeUp(value) && value.uses.some(isRead);
}

function isFreeStanding({ name, constant }: Value): boolean {
  if (name === undefined || exporterName.test(name) || constant?.elemType !== "float") return false;
  if (constant.data.length < 2) return false;
  return constant.data.every((element: number | bigint) => Math.abs(Number(element)) < 1e4);
}

function layerOf({ name, opType, notes }: Node): ParameterLayer {
  return { node: name, opType, module: moduleIn(notes?.metadataProps) };
}

/** The innermost module of the scopes that torch.onnx.export with dynamo=True writes. */
function moduleIn(metadata: Readonly<Record<string, string>> = {}): string | undefined {
  const scopes = metadata["pkg.torch.onnx.name_scopes"];
  // a Python list: ['', 'classifier', 'classifier.1', 'linear'], whose last entry is the operation
  const names = [...(scopes?.matchAll(/'([^']*)'/g) ?? [])].map(([, name = ""]) => name);
  return names.at(-2) || undefined;
}
