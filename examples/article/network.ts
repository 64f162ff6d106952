import { type Initialization, initialTensor } from "shakenet/artifacts";
import {
  type Builder,
  createBuilder,
  dataTypeNumbers,
  defineFunction,
  floats,
  Graph,
  RandomStream,
  tensorType,
  type Value,
} from "shakenet/graph-builder";

/** Where the article's network differs from the paper's. */
export interface NetworkChoices {
  /** Batch normalisation follows the shortcut where the widths differ. */
  readonly normalizesShortcut: boolean;
  /**
   * The shortcut's second path sees the picture one pixel further; else the same pixels as the first path.
   */
  readonly shiftsShortcut: boolean;
  /** Convolutions have no bias and He's initialization; else they have PyTorch's defaults. */
  readonly initializesAsAuthor: boolean;
}

/** The size of the network, its data, and the seed of its weights. */
export interface NetworkSize {
  /** 6n + 2: three stages of n blocks. */
  readonly depth: number;
  /** Channels of the first stage: 16, as the stem has, or 32. */
  readonly width: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly seed: number;
}

const images = tensorType("float", ["batch", "C", "H", "W"]);
const weights = tensorType("float", ["batch"]);

/**
 * The article's torch.autograd.Function: alpha and 1 - alpha on the way forward, beta and 1 - beta on the way
 * back, one of each per image.
 */
const shakeShake = defineFunction({
  domain: "article",
  name: "ShakeShake",
  inputs: [
    ["branch1", images],
    ["branch2", images],
    ["alpha", weights],
    ["beta", weights],
  ],
  outputs: [["mixed", images]],
  body: (g, [branch1, branch2, alpha]) => {
    const weight = perImage(g, alpha);
    return [g.Add(g.Mul(branch1, weight), g.Mul(branch2, g.Sub(g.float(1), weight)))];
  },
  gradient: (g, { I, dY }) => {
    const weight = perImage(g, I(3));
    return [g.Mul(dY, weight), g.Mul(dY, g.Sub(g.float(1), weight)), null, null];
  },
});

function perImage(g: Builder, weight: Value): Value {
  return g.Unsqueeze(weight, g.int64([1, 2, 3]));
}

/**
 * The network from images, uint8 [batch, 3, 32, 32], to logits, float [batch, 10]. The network to train also
 * takes alpha and beta, float [blocks, batch]; the one to test has 0.5 in their place.
 */
export function articleNetwork(size: NetworkSize, choices: NetworkChoices, use: "train" | "test"): Graph {
  const g = createBuilder(new Graph("article"));
  const layers = new Layers(g, size.seed, choices.initializesAsAuthor);
  const x = g.Cast(g.input("images", "uint8", ["batch", 3, 32, 32]), { to: dataTypeNumbers.float });
  const perColour = (values: readonly number[]) => g.float(values, [1, 3, 1, 1]);
  let maps = g.Div(g.Sub(x, perColour(size.mean)), perColour(size.std));
  maps = layers.batchNorm("stem.bn", layers.conv("stem.conv", maps, 16, 3));
  const blocks = (size.depth - 2) / 2;
  const mix = use === "train" ? randomMix(g, blocks) : evenMix(g);
  for (let block = 0; block < blocks; block++) {
    const stage = Math.floor((3 * block) / blocks);
    const channels = size.width * 2 ** stage;
    const stride = stage > 0 && (3 * block) % blocks === 0 ? 2 : 1;
    maps = residualBlock(
      layers,
      choices,
      maps,
      { name: `block${block}`, channels, stride },
      (first, second) => mix(first, second, block),
    );
  }
  const features = g.Flatten(g.GlobalAveragePool(g.Relu(maps)));
  g.output(layers.dense("fc", features, 10), "logits");
  return g.graph;
}

type Mix = (branch1: Value, branch2: Value, block: number) => Value;

function randomMix(g: Builder, blocks: number): Mix {
  const [alpha, beta] = ["alpha", "beta"].map((name) => g.input(name, "float", [blocks, "batch"]));
  return (branch1, branch2, block) => {
    if (!alpha || !beta) throw new Error("the network has no alpha and beta");
    const row = g.int64(block);
    return g.call(shakeShake, [branch1, branch2, g.Gather(alpha, row), g.Gather(beta, row)]);
  };
}

function evenMix(g: Builder): Mix {
  return (branch1, branch2) => g.Mul(g.Add(branch1, branch2), g.float(0.5));
}

interface Place {
  readonly name: string;
  readonly channels: number;
  readonly stride: number;
}

/** Two branches of ReLU, convolution, batch normalisation, ReLU, convolution, batch normalisation. */
function residualBlock(
  layers: Layers,
  choices: NetworkChoices,
  x: Value,
  { name, channels, stride }: Place,
  mix: (branch1: Value, branch2: Value) => Value,
): Value {
  const { g } = layers;
  const branch = (path: string) => {
    const first = layers.conv(`${path}.conv1`, g.Relu(x), channels, 3, { stride });
    const inner = g.Relu(layers.batchNorm(`${path}.bn1`, first));
    return layers.batchNorm(`${path}.bn2`, layers.conv(`${path}.conv2`, inner, channels, 3));
  };
  const mixed = mix(branch(`${name}.branch1`), branch(`${name}.branch2`));
  const skip = x.shape[1] === channels ? x : shortcut(layers, choices, x, { name, channels, stride });
  return g.Add(skip, mixed);
}

/**
 * Two 1x1 convolutions, joined. The article shifts the second one's picture by a pixel and pads it on the
 * same side, which puts every pixel back where it was, but for a row and a column of zeros.
 */
function shortcut(
  layers: Layers,
  choices: NetworkChoices,
  x: Value,
  { name, channels, stride }: Place,
): Value {
  const { g } = layers;
  const activated = g.Relu(x);
  const path = `${name}.shortcut`;
  const half = channels / 2;
  const near = layers.conv(`${path}.conv1`, activated, half, 1, { stride });
  const cropped = choices.shiftsShortcut
    ? withoutEdge(g, activated, 0, -1)
    : withoutEdge(g, activated, 1, 32);
  const far = layers.conv(`${path}.conv2`, cropped, half, 1, { stride, pads: [1, 1, 0, 0] });
  const joined = g.Concat(near, far, { axis: 1 });
  return choices.normalizesShortcut ? layers.batchNorm(`${path}.bn`, joined) : joined;
}

/** The rows and columns from `from` to before `to`. */
function withoutEdge(g: Builder, x: Value, from: number, to: number): Value {
  return g.Slice(x, g.int64([from, from]), g.int64([to, to]), g.int64([2, 3]));
}

/** Layers whose weights are constants of the graph, which `generateArtifacts` makes parameters of. */
class Layers {
  readonly g: Builder;
  readonly #seed: number;
  readonly #asAuthor: boolean;

  constructor(g: Builder, seed: number, asAuthor: boolean) {
    this.g = g;
    this.#seed = seed;
    this.#asAuthor = asAuthor;
  }

  conv(
    name: string,
    x: Value,
    filters: number,
    kernel: number,
    {
      stride = 1,
      pads = Array(4).fill((kernel - 1) / 2),
    }: { stride?: number; pads?: readonly number[] } = {},
  ): Value {
    const shape = [filters, Number(x.shape[1]), kernel, kernel];
    const attributes = { kernel_shape: [kernel, kernel], strides: [stride, stride], pads };
    if (this.#asAuthor)
      return this.g.Conv(x, this.#tensor(`${name}.weight`, shape, "he-fan-out"), attributes);
    const weight = this.#tensor(`${name}.weight`, shape, "uniform-fan-in");
    // PyTorch draws a bias from the same interval as the weight
    const bound = 1 / Math.sqrt(shape.slice(1).reduce((product, dim) => product * dim, 1));
    const stream = new RandomStream(this.#seed, `${name}.bias`);
    const drawn = Array.from({ length: filters }, (_, i) => (2 * stream.uniform(i) - 1) * bound);
    return this.g.Conv(x, weight, this.g.constant(floats(drawn), `${name}.bias`), attributes);
  }

  batchNorm(name: string, x: Value): Value {
    const tensor = (leaf: string, initialization: Initialization) =>
      this.#tensor(`${name}.${leaf}`, [Number(x.shape[1])], initialization);
    const [scale, bias] = [tensor("weight", "ones"), tensor("bias", "zeros")];
    const [mean, variance] = [tensor("running_mean", "zeros"), tensor("running_var", "ones")];
    return this.g.BatchNormalization(x, scale, bias, mean, variance)[0];
  }

  dense(name: string, x: Value, outputs: number): Value {
    const weight = this.#tensor(`${name}.weight`, [outputs, Number(x.shape[1])], "uniform-fan-in");
    return this.g.Gemm(x, weight, this.#tensor(`${name}.bias`, [outputs], "zeros"), { transB: 1 });
  }

  #tensor(name: string, shape: readonly number[], initialization: Initialization): Value {
    return this.g.constant(
      initialTensor({ name, shape, initialization, kind: "parameter" }, this.#seed),
      name,
    );
  }
}
