import { at } from "../graph-builder/at.ts";
import { RandomStream, Tensor } from "../graph-builder/index.ts";
import type { Checkpoint, OptimizerState } from "./checkpoint.ts";
import { expectFittingTensor } from "./checkpoint-size.ts";
import type { ParameterSpec, StateTensor } from "./parameters.ts";

/** Settings of the first checkpoint beside the parameters. */
export interface InitialState {
  /** The seed of the initial weights. */
  readonly seed: number;
  /** How many moments the optimizer keeps for each parameter. */
  readonly moments: number;
  /** Whether the training model updates its parameters itself. */
  readonly fused: boolean;
  /** The learning rate that a session starts with; 0.001 by default. */
  readonly learningRate?: number | undefined;
  /** Further properties, which follow `epoch`, `step` and `seed`. */
  readonly properties?: ReadonlyMap<string, bigint | string> | undefined;
}

/**
 * The checkpoint before the first step: initial weights drawn from the seed, running statistics at 0 and 1,
 * momenta at 0.
 */
export function initialCheckpoint(parameters: readonly ParameterSpec[], state: InitialState): Checkpoint {
  const tensors = parameters.map(
    (spec): StateTensor => ({ name: spec.name, kind: spec.kind, tensor: initialTensor(spec, state.seed) }),
  );
  return checkpointOf(tensors, state);
}

/** The checkpoint of tensors before the first step, with momenta at 0. */
export function checkpointOf(
  state: readonly StateTensor[],
  { seed, moments, fused, learningRate, properties: further = new Map() }: InitialState,
): Checkpoint {
  const tensors = (...kinds: readonly StateTensor["kind"][]) =>
    new Map(state.filter(({ kind }) => kinds.includes(kind)).map(({ name, tensor }) => [name, tensor]));
  const trainable = tensors("parameter");
  const properties = new Map<string, bigint | string>([
    ["epoch", 0n],
    ["step", 0n],
    ["seed", BigInt(seed)],
    ...further,
  ]);
  if (fused) {
    // ONNX Runtime requires a gradient buffer for every trainable parameter; a fused model has none, so its
    // tensors are frozen
    const frozen = new Map([...trainable, ...tensors("statistic", "constant"), ...tensors("moment")]);
    const rate = learningRate === undefined ? {} : { optimizer: beforeSteps(learningRate, new Map()) };
    return { trainable: new Map(), frozen, properties, ...rate };
  }
  const momenta = [...trainable].map(([name, { dims }]): [string, Tensor[]] => [
    name,
    Array.from({ length: Math.max(1, moments) }, () => zeros(dims)),
  ]);
  return {
    trainable,
    frozen: tensors("statistic", "constant"),
    optimizer: beforeSteps(learningRate ?? 0.001, new Map(momenta)),
    properties,
  };
}

function beforeSteps(initialLearningRate: number, momenta: Map<string, Tensor[]>): OptimizerState {
  return { step: 0, initialLearningRate, momenta };
}

/**
 * A tensor at its initial values. Its random stream depends on its name alone, so a new layer changes no
 * other tensor. Throws UserError for a shape that no checkpoint holds.
 */
export function initialTensor({ name, shape, initialization }: ParameterSpec, seed: number): Tensor {
  expectFittingTensor(name, shape);
  const data = zeroData(shape);
  const stream = new RandomStream(seed, `initial/${name}`);
  const [outputs = 1, ...rest] = shape;
  const fanIn = rest.reduce((product, dim) => product * dim, 1);
  const kernel = shape.slice(2).reduce((product, dim) => product * dim, 1);
  switch (initialization) {
    case "zeros":
      break;
    case "ones":
      data.fill(1);
      break;
    case "dirac":
    case "he-fan-out": {
      stream.fillNormal(data);
      const deviation = Math.sqrt(2 / (kernel * outputs));
      for (let i = 0; i < data.length; i++) data[i] = at(data, i) * deviation;
      if (initialization === "dirac") fillDirac(data, outputs, at(rest, 0), kernel);
      break;
    }
    case "uniform-fan-in": {
      stream.fillUniform(data);
      const bound = 1 / Math.sqrt(fanIn);
      for (let i = 0; i < data.length; i++) data[i] = (2 * at(data, i) - 1) * bound;
      break;
    }
  }
  return new Tensor("float", shape, data);
}

/** Makes filter i of [outputs, inputs, kernel] the identity of channel i, where there is one. */
function fillDirac(data: Float32Array, outputs: number, inputs: number, kernel: number): void {
  const size = inputs * kernel;
  for (let i = 0; i < Math.min(outputs, inputs); i++) {
    data.fill(0, i * size, (i + 1) * size);
    data[i * size + i * kernel + Math.floor(kernel / 2)] = 1;
  }
}

function zeros(dims: readonly number[]): Tensor {
  return new Tensor("float", dims, zeroData(dims));
}

function zeroData(dims: readonly number[]): Float32Array<ArrayBuffer> {
  return new Float32Array(dims.reduce((product, dim) => product * dim, 1));
}
