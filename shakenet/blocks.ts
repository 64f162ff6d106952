import { type Builder, UserError, type Value } from "../graph-builder/index.ts";
import type { Layers } from "./layers.ts";

/** A residual block of a network. */
export interface BlockPlace {
  /** The start of the names of its tensors. */
  readonly path: string;
  /** The channels of its output. */
  readonly channels: number;
  readonly stride: number;
  /** Its number in the network, counted from 0. */
  readonly index: number;
}

/**
 * Appends a residual block to x, [batch, channels, height, width]. Where a block is said to have a ReLU, it
 * has the activation of the network.
 */
export type Block = (g: Builder, layers: Layers, x: Value, place: BlockPlace) => Value;

/**
 * Shake-Shake's block (xgastaldi/shake-shake models/shakeshake.lua): two branches of ReLU, 3x3 convolution,
 * batch normalisation, ReLU, 3x3 convolution and batch normalisation. There is no ReLU after the sum.
 */
export const shakeShakeBlock: Block = (g, layers, x, { path, channels, stride, index }) => {
  const activated = layers.activate(x);
  const branch = (name: string) =>
    g.scope(name, () => {
      const prefix = `${path}.${name}`;
      const first = layers.batchNorm(
        `${prefix}.bn1`,
        layers.conv(`${prefix}.conv1`, activated, channels, 3, { stride }),
      );
      return layers.batchNorm(
        `${prefix}.bn2`,
        layers.conv(`${prefix}.conv2`, layers.activate(first), channels, 3),
      );
    });
  const mixed = layers.mode.mix(branch("branch1"), branch("branch2"), index);
  const isSame = x.shape[1] === channels;
  const skip = isSame
    ? x
    : g.scope("shortcut", () => shiftedShortcut(g, layers, activated, path, channels, stride));
  return g.Add(skip, mixed);
};

/**
 * The shortcut where the widths differ: two 1x1 convolutions to half the channels each, the second over the
 * image shifted one pixel right and down (a zero row and column in front, the last ones dropped), joined and
 * normalised.
 */
function shiftedShortcut(
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

/**
 * The basic block of a pre-activation ResNet (He et al. 2016, arXiv 1603.05027): batch normalisation and ReLU
 * before each of its two 3x3 convolutions. Where the widths differ, the shortcut is a 1x1 convolution of the
 * activated input (KaimingHe/resnet-1k-layers resnet-pre-act.lua).
 */
export const preActivationBlock: Block = (g, layers, x, { path, channels, stride, index }) => {
  const activated = layers.activate(layers.batchNorm(`${path}.bn1`, x));
  const first = layers.conv(`${path}.conv1`, activated, channels, 3, { stride });
  const inner = layers.activate(layers.batchNorm(`${path}.bn2`, first));
  const branch = layers.conv(`${path}.conv2`, inner, channels, 3);
  const isSame = x.shape[1] === channels && stride === 1;
  const skip = isSame
    ? x
    : g.scope("shortcut", () => layers.conv(`${path}.shortcut.conv`, activated, channels, 1, { stride }));
  return g.Add(skip, layers.mode.drop(branch, index));
};

/**
 * The basic block of a PyramidNet (Han et al. 2017, arXiv 1610.02915, and jhkim89/PyramidNet
 * addpyramidnet.lua): batch normalisation, 3x3 convolution, batch normalisation, ReLU, 3x3 convolution and
 * batch normalisation. The shortcut has no parameters: it averages 2x2 pixels where the stride is 2, and its
 * additional channels are zero.
 */
export const pyramidBlock: Block = (g, layers, x, { path, channels, stride, index }) => {
  const first = layers.conv(`${path}.conv1`, layers.batchNorm(`${path}.bn1`, x), channels, 3, { stride });
  const inner = layers.activate(layers.batchNorm(`${path}.bn2`, first));
  const branch = layers.batchNorm(`${path}.bn3`, layers.conv(`${path}.conv2`, inner, channels, 3));
  const skip = g.scope("shortcut", () => zeroPaddedShortcut(g, x, channels, stride));
  return g.Add(skip, layers.mode.drop(branch, index));
};

function zeroPaddedShortcut(g: Builder, x: Value, channels: number, stride: number): Value {
  const pooled = stride === 1 ? x : averaged(g, x, stride);
  const added = channels - Number(x.shape[1]);
  return added === 0 ? pooled : g.Pad(pooled, g.int64([0, 0, 0, 0, 0, added, 0, 0]));
}

/** The mean of every 2x2 pixels. Throws UserError for a map with a side that is no multiple of 2. */
function averaged(g: Builder, x: Value, stride: number): Value {
  const odd = x.shape.slice(2).find((side) => typeof side === "number" && side % stride !== 0);
  if (odd !== undefined) {
    throw new UserError(
      `A PyramidNet halves the sides of its maps twice, and one of ${odd} pixels cannot be halved: choose another size of the pictures or another stem stride.`,
      { code: "setting-conflict" },
    );
  }
  return g.AveragePool(x, { kernel_shape: [stride, stride], strides: [stride, stride] });
}
