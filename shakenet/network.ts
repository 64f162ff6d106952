import type { Initialization, ParameterSpec } from "../artifacts/parameters.ts";
import type { Builder } from "../graph-builder/builder.ts";
import { UserError } from "../graph-builder/errors.ts";
import type { Value } from "../graph-builder/ir.ts";
import { dataTypeNumbers } from "../graph-builder/operators/elementwise.ts";
import type { BranchInitialization, Stem } from "./paper-settings.ts";

/** The size of a network. Depth is 6n + 2: three stages of n blocks, two convolutions per branch. */
export interface NetworkSettings {
  readonly depth: number;
  /** Channels of the first stage; the second has twice, the third four times as many. */
  readonly width: number;
  readonly classes: number;
  /** The side of the pictures in pixels, a multiple of 4; 32 where left out. */
  readonly imageSize?: number | undefined;
  /**
   * The data set's mean and standard deviation of each channel, in pixel units 0..255. There are three for
   * colours, one for grey, and four for colours and alpha.
   */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** The first layer; the paper's where left out. */
  readonly stem?: Stem | undefined;
  /** The stride of a whitening stem; 1 where left out. With 2, every map has a quarter of the pixels. */
  readonly stemStride?: number | undefined;
  /** The initial filters of the branches; he where left out. */
  readonly initialization?: BranchInitialization | undefined;
  /** What the logits are multiplied by; 1 where left out. */
  readonly outputScale?: number | undefined;
}

/** How a use of the network gets its tensors, mixes branches and normalises batches. */
export interface NetworkMode {
  readonly tensor: (spec: ParameterSpec) => Value;
  readonly mix: (branch1: Value, branch2: Value, block: number) => Value;
  readonly isTraining: boolean;
}

/** The shape of the pictures that a network takes by default: three colours, 32 x 32. */
export const imageShape = [3, 32, 32] as const;

/** The shape of the pictures that a network takes: [channels, height, width]. */
export function imageShapeOf({
  imageSize = 32,
  mean,
}: Pick<NetworkSettings, "imageSize" | "mean">): readonly [channels: number, height: number, width: number] {
  return [mean.length, imageSize, imageSize];
}

const stemChannels = 16;

/** The network's name in the paper's form, for example `26 2x32d`. */
export function networkName({ depth, width }: Pick<NetworkSettings, "depth" | "width">): string {
  return `${depth} 2x${width}d`;
}

/** The number of residual blocks; throws UserError where depth is not 6n + 2. */
export function blockCount({ depth }: Pick<NetworkSettings, "depth">): number {
  if (!Number.isInteger(depth) || depth < 8 || (depth - 2) % 6 !== 0) {
    const nearest = Math.max(8, 6 * Math.round((depth - 2) / 6) + 2) || 26;
    throw new UserError(
      `A depth of ${depth} is not of the form 6n + 2 (8, 14, 20, 26, ...); the nearest is ${nearest}.`,
      { code: "setting-invalid" },
    );
  }
  return (depth - 2) / 2;
}

/**
 * Appends ShakeNet from raw pixels to logits: images uint8 or float [batch, channels, side, side] (0..255) to
 * float [batch, classes]. Exact to the author's code (xgastaldi/shake-shake models/shakeshake.lua): stem
 * without ReLU, pre-activation branches, no ReLU after a block's sum, none of the convolutions with a bias.
 * Throws UserError where the settings do not make a network.
 */
export function appendNetwork(
  g: Builder,
  images: Value,
  settings: NetworkSettings,
  mode: NetworkMode,
): Value {
  const perStage = blockCount(settings) / 3;
  expectCount("width", settings.width);
  expectCount("classes", settings.classes);
  expectImageSize(settings);
  const layers = new Layers(g, mode, settings.initialization === "dirac" ? "dirac" : "he-fan-out");
  let x = g.scope("normalize", () => normalize(g, images, settings));
  x = g.scope("stem", () => appendStem(g, layers, x, settings));
  for (let stage = 0; stage < 3; stage++) {
    for (let block = 0; block < perStage; block++) {
      const stride = stage > 0 && block === 0 ? 2 : 1;
      const path = `stage${stage + 1}.block${block}`;
      x = g.scope(`stage${stage + 1}`, () =>
        g.scope(`block${block}`, () =>
          residualBlock(g, layers, x, path, settings.width * 2 ** stage, stride, stage * perStage + block),
        ),
      );
    }
  }
  return g.scope("head", () => head(g, layers, x, settings));
}

/** The side of a whitening stem's filters in pixels; undefined for the paper's stem. */
export function whiteningKernel({ stem = "paper" }: Pick<NetworkSettings, "stem">): number | undefined {
  return { paper: undefined, "whitening-2": 2, "whitening-3": 3 }[stem];
}

/** The name of a stem's filters. */
export const STEM_FILTERS = "stem.conv.weight";

function appendStem(g: Builder, layers: Layers, x: Value, settings: NetworkSettings): Value {
  const kernel = whiteningKernel(settings);
  if (kernel === undefined) {
    if (settings.stemStride !== undefined && settings.stemStride !== 1) {
      throw new UserError(`A stem stride of ${settings.stemStride} needs a whitening stem.`, {
        code: "setting-conflict",
      });
    }
    return layers.batchNorm("stem.bn", layers.conv("stem.conv", x, stemChannels, 3));
  }
  const colours = Number(x.shape[1]);
  const filters = 2 * colours * kernel ** 2;
  const { stemStride: stride = 1 } = settings;
  expectCount("stemStride", stride);
  const W = layers.mode.tensor({
    name: STEM_FILTERS,
    shape: [filters, colours, kernel, kernel],
    initialization: "he-fan-out",
    kind: "constant",
  });
  const bias = layers.mode.tensor({
    name: "stem.conv.bias",
    shape: [filters],
    initialization: "zeros",
    kind: "parameter",
  });
  // a window of 2x2 has no middle: the padding is at the right and at the bottom
  const before = Math.floor((kernel - 1) / 2);
  const after = kernel - 1 - before;
  const pads = [before, before, after, after];
  return g.Conv(x, W, bias, { kernel_shape: [kernel, kernel], strides: [stride, stride], pads });
}

function normalize(g: Builder, images: Value, { mean, std }: NetworkSettings): Value {
  const pixels = images.elemType === "float" ? images : g.Cast(images, { to: dataTypeNumbers.float });
  const perColour = (values: readonly number[]) => g.float(values, [1, values.length, 1, 1]);
  return g.Div(g.Sub(pixels, perColour(mean)), perColour(std));
}

function residualBlock(
  g: Builder,
  layers: Layers,
  x: Value,
  path: string,
  channels: number,
  stride: number,
  index: number,
): Value {
  const activated = g.Relu(x);
  const branch = (name: string) =>
    g.scope(name, () => {
      const prefix = `${path}.${name}`;
      const first = layers.batchNorm(
        `${prefix}.bn1`,
        layers.conv(`${prefix}.conv1`, activated, channels, 3, { stride }),
      );
      return layers.batchNorm(`${prefix}.bn2`, layers.conv(`${prefix}.conv2`, g.Relu(first), channels, 3));
    });
  const mixed = layers.mode.mix(branch("branch1"), branch("branch2"), index);
  const isSame = x.shape[1] === channels;
  const skip = isSame ? x : g.scope("shortcut", () => shortcut(g, layers, activated, path, channels, stride));
  return g.Add(skip, mixed);
}

/**
 * The shortcut where the widths differ: two 1x1 convolutions to half the channels each, the second over the
 * image shifted one pixel right and down (a zero row and column in front, the last ones dropped), joined and
 * normalised.
 */
function shortcut(
  g: Builder,
  layers: Layers,
  x: Value,
  path: string,
  channels: number,
  stride: number,
): Value {
  const prefix = `${path}.shortcut`;
  const [near, far] = [Math.ceil(channels / 2), Math.floor(channels / 2)];
  const straight = layers.conv(`${prefix}.conv1`, x, near, 1, { stride });
  const cropped = g.Slice(x, g.int64([0, 0]), g.int64([-1, -1]), g.int64([2, 3]));
  const shifted = layers.conv(`${prefix}.conv2`, cropped, far, 1, { stride, pads: [1, 1, 0, 0] });
  return layers.batchNorm(`${prefix}.bn`, g.Concat(straight, shifted, { axis: 1 }));
}

/** ReLU, average pooling of the whole map (8x8 of pictures of 32x32), and the classifier. */
function head(g: Builder, layers: Layers, x: Value, { classes, outputScale = 1 }: NetworkSettings): Value {
  const features = g.Flatten(g.GlobalAveragePool(g.Relu(x)));
  const count = Number(features.shape[1]);
  const weight = layers.mode.tensor({
    name: "fc.weight",
    shape: [classes, count],
    initialization: "uniform-fan-in",
    kind: "parameter",
  });
  const bias = layers.mode.tensor({
    name: "fc.bias",
    shape: [classes],
    initialization: "zeros",
    kind: "parameter",
  });
  const logits = g.Gemm(features, weight, bias, { transB: 1 });
  return outputScale === 1 ? logits : g.Mul(logits, g.float(outputScale));
}

/** The two layers that a ShakeNet repeats. */
class Layers {
  readonly g: Builder;
  readonly mode: NetworkMode;
  readonly #branches: Initialization;

  /** `branches` is the initialization of 3x3 filters behind the stem. */
  constructor(g: Builder, mode: NetworkMode, branches: Initialization) {
    this.g = g;
    this.mode = mode;
    this.#branches = branches;
  }

  /** A convolution without bias, padded to keep the size at stride 1 unless pads are given. */
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
    const W = this.mode.tensor({
      name: `${name}.weight`,
      shape,
      initialization: kernel === 3 && !name.startsWith("stem") ? this.#branches : "he-fan-out",
      kind: "parameter",
    });
    return this.g.Conv(x, W, { kernel_shape: [kernel, kernel], strides: [stride, stride], pads });
  }

  /** Batch normalisation: epsilon 1e-5, and ONNX's momentum 0.9 for Torch's 0.1. */
  batchNorm(name: string, x: Value): Value {
    const shape = [Number(x.shape[1])];
    const tensor = (leaf: string, initialization: Initialization, kind: ParameterSpec["kind"]) =>
      this.mode.tensor({ name: `${name}.${leaf}`, shape, initialization, kind });
    const scale = tensor("weight", "ones", "parameter");
    const bias = tensor("bias", "zeros", "parameter");
    const mean = tensor("running_mean", "zeros", "statistic");
    const variance = tensor("running_var", "ones", "statistic");
    return this.mode.isTraining
      ? this.g.BatchNormInternal(x, scale, bias, mean, variance, { training_mode: 1 })[0]
      : this.g.BatchNormalization(x, scale, bias, mean, variance)[0];
  }
}

/** Throws UserError for a side of pictures that no network takes. */
export function expectImageSize({ imageSize = 32 }: Pick<NetworkSettings, "imageSize">): void {
  if (Number.isInteger(imageSize) && imageSize >= 4 && imageSize % 4 === 0) return;
  const nearest = Math.max(4, 4 * Math.round(imageSize / 4)) || 32;
  throw new UserError(
    `ShakeNet takes pictures with a side that is a multiple of 4, not ${imageSize}; the nearest is ${nearest}.`,
    { code: "setting-invalid", details: { imageSize } },
  );
}

function expectCount(name: string, value: number): void {
  if (!Number.isInteger(value) || value < 1)
    throw new UserError(`${name} must be a whole number from 1, not ${value}.`, { code: "setting-invalid" });
}

/** (branch1 + branch2) / 2, which equals ShakeForward with alpha = 0.5. */
export function evenMix(g: Builder, branch1: Value, branch2: Value): Value {
  return g.Mul(g.Add(branch1, branch2), g.float(0.5));
}
