import { floats, type GivenShape, int64s } from "../../graph-builder/index.ts";
import type { Case } from "./check-gradient.ts";
import type { ForeignNode } from "./foreign-node.ts";
import { apart, dimsOf, distinct, type Input, integers, normal } from "./random-tensor.ts";

/** A layer of another program's file. */
export interface LayerNode {
  readonly title: string;
  readonly node: ForeignNode;
  readonly test?: Partial<Omit<Case, "inputs" | "build">> & {
    /** Whether ONNX Runtime has a kernel to compare with. */
    readonly kernel?: boolean;
    readonly gradient?: boolean;
  };
}

const picture = normal(["batch", 2, 5, 6]);

/** A layer with its name, opset, inputs and attributes. */
export function layer(
  opType: string,
  opset: number,
  title: string,
  inputs: ForeignNode["inputs"],
  attributes: NonNullable<ForeignNode["attributes"]> = {},
  test: NonNullable<LayerNode["test"]> & { readonly outputs?: ForeignNode["outputs"] } = {},
): LayerNode {
  const { outputs = ["Y"], ...more } = test;
  return { title, node: { opType, opset, inputs, attributes, outputs }, test: more };
}

/** Normal numbers of which one is 0. */
function withZero(shape: GivenShape): Input {
  const numbers = normal(shape).tensor.numbers();
  return { shape, tensor: floats(numbers.with(2, 0), dimsOf(shape)) };
}

const windows: readonly LayerNode[] = [
  ...["SAME_UPPER", "SAME_LOWER", "VALID"].flatMap((auto_pad) => [
    layer(
      "Conv",
      11,
      `auto_pad ${auto_pad}`,
      [
        ["X", picture],
        ["W", normal([3, 2, 2, 4])],
      ],
      { auto_pad: ["string", auto_pad], strides: ["ints", [2, 1]] },
    ),
    layer("MaxPool", 12, `auto_pad ${auto_pad}`, [["X", distinct(["batch", 2, 5, 6])]], {
      auto_pad: ["string", auto_pad],
      kernel_shape: ["ints", [2, 3]],
      strides: ["ints", [2, 2]],
    }),
    layer("AveragePool", 11, `auto_pad ${auto_pad}`, [["X", picture]], {
      auto_pad: ["string", auto_pad],
      kernel_shape: ["ints", [2, 3]],
      strides: ["ints", [1, 2]],
    }),
    layer(
      "ConvTranspose",
      11,
      `auto_pad ${auto_pad}`,
      [
        ["X", picture],
        ["W", normal([2, 3, 3, 2])],
        ["B", normal([3])],
      ],
      { auto_pad: ["string", auto_pad], strides: ["ints", [2, 1]] },
    ),
  ]),
  layer(
    "ConvTranspose",
    11,
    "output_shape",
    [
      ["X", picture],
      ["W", normal([2, 3, 3, 3])],
    ],
    { output_shape: ["ints", [11, 14]], strides: ["ints", [2, 2]] },
  ),
  layer(
    "ConvTranspose",
    11,
    "an output_padding of the stride",
    [
      ["X", normal(["batch", 2, 3, 3])],
      ["W", normal([2, 2, 2, 2])],
      ["B", normal([2])],
    ],
    { dilations: ["ints", [2, 2]], output_padding: ["ints", [1, 1]], pads: ["ints", [0, 0, 0, 1]] },
    { kernel: false },
  ),
  layer("LpPool", 18, "p 2, dilations, ceil_mode", [["X", picture]], {
    kernel_shape: ["ints", [2, 2]],
    strides: ["ints", [2, 3]],
    dilations: ["ints", [1, 2]],
    ceil_mode: ["int", 1],
  }),
  layer("LpPool", 11, "p 3, pads", [["X", picture]], {
    kernel_shape: ["ints", [3, 2]],
    p: ["int", 3],
    pads: ["ints", [1, 0, 1, 1]],
  }),
  layer("GlobalLpPool", 11, "p 1", [["X", apart(["batch", 2, 5, 6])]], { p: ["int", 1] }),
  layer("GlobalMaxPool", 11, "", [["X", distinct(["batch", 2, 5, 6])]]),
  layer("GlobalMaxPool", 11, "a picture of open size", [["X", distinct(["batch", 2, "height", 6])]]),
  layer(
    "MaxUnpool",
    11,
    "2x2",
    [
      ["X", normal([1, 1, 2, 2])],
      ["I", integers([1, 3, 8, 14], [1, 1, 2, 2])],
    ],
    { kernel_shape: ["ints", [2, 2]], strides: ["ints", [2, 2]] },
  ),
];

const vector = (count: number) => normal([count]);

const normalizations: readonly LayerNode[] = [
  layer(
    "InstanceNormalization",
    11,
    "of pictures",
    [
      ["X", picture],
      ["scale", vector(2)],
      ["B", vector(2)],
    ],
    { epsilon: ["float", 0.01] },
  ),
  layer("InstanceNormalization", 11, "of any size", [
    ["X", normal(["batch", 2, "height", "width"])],
    ["scale", vector(2)],
    ["B", vector(2)],
  ]),
  layer(
    "GroupNormalization",
    18,
    "a factor for each group",
    [
      ["X", normal(["batch", 4, 3, 2])],
      ["scale", vector(2)],
      ["bias", vector(2)],
    ],
    { num_groups: ["int", 2], epsilon: ["float", 0.01] },
  ),
  layer(
    "GroupNormalization",
    21,
    "a factor for each channel, any size",
    [
      ["X", normal(["batch", 4, "height", "width"])],
      ["scale", vector(4)],
      ["bias", vector(4)],
    ],
    { num_groups: ["int", 2], epsilon: ["float", 0.01] },
  ),
  layer(
    "RMSNormalization",
    23,
    "two axes",
    [
      ["X", normal(["batch", 2, 4])],
      ["scale", normal([2, 4])],
    ],
    { axis: ["int", -2], epsilon: ["float", 0.01] },
  ),
  layer(
    "LayerNormalization",
    17,
    "the middle axis and behind",
    [
      ["X", normal(["batch", 2, 4])],
      ["scale", normal([2, 4])],
      ["B", normal([2, 4])],
    ],
    { axis: ["int", 1], epsilon: ["float", 0.01] },
  ),
  layer("LRN", 13, "an odd size", [["X", normal(["batch", 5, 2, 3])]], {
    size: ["int", 3],
    alpha: ["float", 0.5],
    beta: ["float", 0.6],
    bias: ["float", 2],
  }),
  // ONNX Runtime has no kernel for an even size
  layer(
    "LRN",
    13,
    "an even size",
    [["X", normal(["batch", 5, 2])]],
    { size: ["int", 4], alpha: ["float", 0.5] },
    {
      kernel: false,
    },
  ),
  layer("LpNormalization", 11, "p 1", [["X", apart(["batch", 4])]], { p: ["int", 1], axis: ["int", 0] }),
  layer("LpNormalization", 11, "p 2", [["X", normal(["batch", 4])]]),
  layer("MeanVarianceNormalization", 13, "", [["X", picture]]),
];

/** Layers in the forms of files. */
const activations: readonly LayerNode[] = [
  ...["none", "tanh"].map((approximate) =>
    layer("Gelu", 20, `approximate ${approximate}`, [["X", normal(["batch", 3])]], {
      approximate: ["string", approximate],
    }),
  ),
  layer("Swish", 24, "alpha 2", [["X", normal(["batch", 3])]], { alpha: ["float", 2] }, { kernel: false }),
  layer(
    "SwiGLU",
    28,
    "alpha 2",
    [
      ["A", normal(["batch", 3])],
      ["B", normal(["batch", 3])],
    ],
    { alpha: ["float", 2] },
    { kernel: false },
  ),
  ...[0, 1].flatMap((exclusive) =>
    [0, 1].map((reverse) =>
      layer(
        "CumProd",
        26,
        `exclusive ${exclusive}, reverse ${reverse}`,
        [
          ["X", withZero(["batch", 4, 2])],
          ["axis", int64s(1)],
        ],
        { exclusive: ["int", exclusive], reverse: ["int", reverse] },
        { kernel: false },
      ),
    ),
  ),
  layer(
    "CumProd",
    26,
    "an axis that only a run tells",
    [
      ["X", normal(["batch", 4])],
      ["axis", integers([-1], [])],
    ],
    {},
    { kernel: false },
  ),
  layer(
    "SpaceToDepth",
    28,
    "CRD",
    [["X", normal(["batch", 2, 4, 6])]],
    { blocksize: ["int", 2], mode: ["string", "CRD"] },
    { kernel: false },
  ),
  layer("CastLike", 15, "to the same type", [
    ["X", normal(["batch", 3])],
    ["like", floats([1])],
  ]),
];

export const layerNodes: readonly LayerNode[] = [...windows, ...normalizations, ...activations];
