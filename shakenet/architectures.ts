import { type Block, preActivationBlock, pyramidBlock, shakeShakeBlock } from "./blocks.ts";
import { defaultAlpha, type NetworkKind } from "./paper-settings.ts";

/** The settings that the size of a network depends on. */
export interface SizeSettings {
  readonly depth: number;
  readonly width: number;
  readonly alpha?: number | undefined;
}

/** What makes a kind of network. Each has three stages of the same number of blocks. */
export interface Architecture {
  /** Its name in the papers' form, for example `26 2x32d`. */
  readonly name: (size: SizeSettings) => string;
  /** The channels of the paper's stem. */
  readonly stemChannels: (size: SizeSettings) => number;
  /** Whether batch normalisation follows the stem. */
  readonly normalizesStem: boolean;
  /** Whether batch normalisation is before the last ReLU. */
  readonly normalizesHead: boolean;
  /** The channels of a block, counted from 0, of all blocks, behind a stem of some channels. */
  readonly channels: (size: SizeSettings, block: number, blocks: number, stem: number) => number;
  readonly block: Block;
}

/** The channels double at the first block of the second and of the third stage. */
const doubling: Architecture["channels"] = ({ width }, block, blocks) =>
  width * 2 ** Math.floor((3 * block) / blocks);

export const architectures: { readonly [N in NetworkKind]: Architecture } = {
  shakenet: {
    name: ({ depth, width }) => `${depth} 2x${width}d`,
    stemChannels: () => 16,
    normalizesStem: true,
    normalizesHead: false,
    channels: doubling,
    block: shakeShakeBlock,
  },
  "preact-resnet": {
    name: ({ depth, width }) => `PreActResNet-${depth} ${width}d`,
    stemChannels: ({ width }) => width,
    normalizesStem: false,
    normalizesHead: true,
    channels: doubling,
    block: preActivationBlock,
  },
  pyramidnet: {
    name: ({ depth, width, alpha = defaultAlpha }) => `PyramidNet-${depth} ${width}d a${alpha}`,
    stemChannels: ({ width }) => width,
    normalizesStem: true,
    normalizesHead: true,
    // additive: the channels grow along a straight line, from the stem's to alpha more
    channels: ({ alpha = defaultAlpha }, block, blocks, stem) =>
      Math.round(stem + (alpha * (block + 1)) / blocks),
    block: pyramidBlock,
  },
};
