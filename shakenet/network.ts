import type { Builder } from "../graph-builder/builder.ts";
import { UserError } from "../graph-builder/errors.ts";
import type { Value } from "../graph-builder/ir.ts";
import { dataTypeNumbers } from "../graph-builder/operators/elementwise.ts";
import { type Architecture, architectures } from "./architectures.ts";
import { Layers } from "./layers.ts";
import type { NetworkMode } from "./network-mode.ts";
import {
  type Activation,
  type BranchInitialization,
  type Downsampling,
  type NetworkKind,
  type Regularization,
  type Stem,
  stemBias,
} from "./paper-settings.ts";
import { expectRegularization } from "./regularization.ts";

/** The size of a network. Depth is 6n + 2: three stages of n blocks, two convolutions per branch. */
export interface NetworkSettings {
  /** The kind of network; shakenet where left out. */
  readonly network?: NetworkKind | undefined;
  readonly depth: number;
  /**
   * Channels of the first stage; the second has twice, the third four times as many. A PyramidNet's stem has
   * as many, and its channels grow from there.
   */
  readonly width: number;
  /** How many channels the last block of a PyramidNet has more than its stem; 48 where left out. */
  readonly alpha?: number | undefined;
  /** The noise in the blocks; shake-shake for a ShakeNet and shake-drop for the others where left out. */
  readonly regularization?: Regularization | undefined;
  /** The survival probability of the last block with shake-drop; 0.5 where left out. */
  readonly survival?: number | undefined;
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
  /** How the second and the third stage halve the maps; stride where left out. */
  readonly downsampling?: Downsampling | undefined;
  /** The nonlinearity; relu where left out. */
  readonly activation?: Activation | undefined;
  /** The initial filters of the branches; he where left out. */
  readonly initialization?: BranchInitialization | undefined;
  /** What the logits are multiplied by; 1 where left out. */
  readonly outputScale?: number | undefined;
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

/** The settings that a network's name tells. */
export type NamedSettings = Pick<NetworkSettings, "network" | "depth" | "width" | "alpha">;

/** The network's name in the papers' form, for example `26 2x32d`, or `PyramidNet-110 16d a48`. */
export function networkName(settings: NamedSettings): string {
  return architectureOf(settings).name(settings);
}

/** The network's name as a part of a path: `26-2x32d`, `pyramidnet-110-16d-a48`. */
export function networkSlug(settings: NamedSettings): string {
  return networkName(settings).toLowerCase().replaceAll(" ", "-");
}

/** The network's name with the kind of network, for example `ShakeNet 26 2x32d`. */
export function networkTitle(settings: NamedSettings): string {
  const isShakeNet = (settings.network ?? "shakenet") === "shakenet";
  return isShakeNet ? `ShakeNet ${networkName(settings)}` : networkName(settings);
}

function architectureOf({ network = "shakenet" }: Pick<NetworkSettings, "network">): Architecture {
  return architectures[network];
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
 * Appends a network from raw pixels to logits: images uint8 or float [batch, channels, side, side] (0..255)
 * to float [batch, classes]. A ShakeNet is exact to the author's code (xgastaldi/shake-shake
 * models/shakeshake.lua): stem without ReLU, pre-activation branches, no ReLU after a block's sum, no
 * convolution with a bias. Throws UserError where the settings do not make a network.
 */
export function appendNetwork(
  g: Builder,
  images: Value,
  settings: NetworkSettings,
  mode: NetworkMode,
): Value {
  const blocks = blockCount(settings);
  expectWidth(settings);
  expectCount("classes", settings.classes);
  if (settings.alpha !== undefined) expectCount("alpha", settings.alpha);
  expectImageSize(settings);
  expectRegularization(settings);
  const architecture = architectureOf(settings);
  const layers = new Layers(g, mode, settings);
  let x = g.scope("normalize", () => normalize(g, images, settings));
  x = g.scope("stem", () => appendStem(g, layers, x, settings));
  const stem = Number(x.shape[1]);
  const pools = settings.downsampling === "max-pool";
  for (let index = 0; index < blocks; index++) {
    const stage = Math.floor((3 * index) / blocks);
    const within = index - (stage * blocks) / 3;
    const path = `stage${stage + 1}.block${within}`;
    const channels = architecture.channels(settings, index, blocks, stem);
    const halves = stage > 0 && within === 0;
    const place = { path, channels, stride: halves && !pools ? 2 : 1, index };
    x = g.scope(`stage${stage + 1}`, () => {
      const maps = halves && pools ? maxPool(g, x) : x;
      return g.scope(`block${within}`, () => architecture.block(g, layers, maps, place));
    });
  }
  return g.scope("head", () => head(g, layers, x, settings));
}

/**
 * Throws UserError for a width that is none, or that leaves half of a ShakeNet's shortcut without a channel.
 */
function expectWidth({ network = "shakenet", width }: NetworkSettings): void {
  expectCount("width", width);
  if (network !== "shakenet" || width > 1) return;
  throw new UserError(`A ShakeNet has a width of 2 or more, not ${width}: its shortcuts have two halves.`, {
    code: "setting-invalid",
    details: { setting: "width", value: width },
  });
}

/** The side of a whitening stem's filters in pixels; undefined for the paper's stem. */
export function whiteningKernel({ stem = "paper" }: Pick<NetworkSettings, "stem">): number | undefined {
  return { paper: undefined, "whitening-2": 2, "whitening-3": 3, "whitening-pool": 2 }[stem];
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
    const { stemChannels, normalizesStem } = architectureOf(settings);
    const first = layers.conv("stem.conv", x, stemChannels(settings), 3);
    return normalizesStem ? layers.batchNorm("stem.bn", first) : first;
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
  // a window of 2x2 has no middle: the padding is at the right and at the bottom
  const before = Math.floor((kernel - 1) / 2);
  const after = kernel - 1 - before;
  const pads = [before, before, after, after];
  const window = { kernel_shape: [kernel, kernel], strides: [stride, stride], pads };
  const biasName = stemBias(settings.stem);
  if (biasName === undefined) {
    const features = layers.conv(
      "stem.conv2",
      layers.activate(g.Conv(x, W, null, window)),
      settings.width,
      3,
    );
    return layers.batchNorm("stem.bn", maxPool(g, features));
  }
  const bias = layers.mode.tensor({
    name: biasName,
    shape: [filters],
    initialization: "zeros",
    kind: "parameter",
  });
  return g.Conv(x, W, bias, window);
}

/** The largest of every 2x2 pixels. Throws UserError for a map of one pixel, which would be left empty. */
function maxPool(g: Builder, x: Value): Value {
  if (x.shape.slice(2).includes(1)) {
    throw new UserError(
      "The pictures are too small for so many max poolings: choose a larger size, or --downsampling stride.",
      { code: "setting-conflict", details: { setting: "downsampling" } },
    );
  }
  return g.MaxPool(x, { kernel_shape: [2, 2], strides: [2, 2] })[0];
}

function normalize(g: Builder, images: Value, { mean, std }: NetworkSettings): Value {
  const pixels = images.elemType === "float" ? images : g.Cast(images, { to: dataTypeNumbers.float });
  const perColour = (values: readonly number[]) => g.float(values, [1, values.length, 1, 1]);
  return g.Div(g.Sub(pixels, perColour(mean)), perColour(std));
}

/** The activation, average pooling of the whole map (8x8 of pictures of 32x32), and the classifier. */
function head(g: Builder, layers: Layers, x: Value, settings: NetworkSettings): Value {
  const { classes, outputScale = 1 } = settings;
  const last = architectureOf(settings).normalizesHead ? layers.batchNorm("head.bn", x) : x;
  const features = g.Flatten(g.GlobalAveragePool(layers.activate(last)));
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
