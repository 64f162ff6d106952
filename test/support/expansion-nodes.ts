import { int64s, Tensor } from "../../graph-builder/index.ts";
import { type LayerNode, layer } from "./layer-nodes.ts";
import { distinct, integers, normal, positive } from "./random-tensor.ts";
import { roiNodes } from "./roi-cases.ts";

const pixels = () => integers([2, 0, -7, 1, 1, -7, 0, 2, 2, 1, 0, 1], ["batch", 2, 2]);

const losses: readonly LayerNode[] = ["mean", "sum", "none"].map((reduction) =>
  layer(
    "NegativeLogLikelihoodLoss",
    13,
    `${reduction}, weights, ignore_index`,
    [
      ["input", normal(["batch", 3, 2, 2])],
      ["target", pixels()],
      ["weight", positive([3])],
    ],
    { reduction: ["string", reduction], ignore_index: ["int", -7] },
    { gradient: false },
  ),
);

const heads = [
  ["Q", normal(["batch", 4, 3, 2])],
  ["K", normal(["batch", 2, 5, 2])],
  ["V", normal(["batch", 2, 5, 3])],
] as const;
const boolean = new Tensor("bool", [3, 5], Uint8Array.of(1, 0, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1, 0, 0, 1));

const attention: readonly LayerNode[] = [
  layer("Attention", 23, "grouped heads, causal, softcap", heads, {
    is_causal: ["int", 1],
    softcap: ["float", 2],
  }),
  layer("Attention", 23, "a mask of booleans", [...heads, ["mask", boolean]]),
  layer(
    "Attention",
    23,
    "heads side by side, earlier steps, every output",
    [
      ["Q", normal(["batch", 3, 8])],
      ["K", normal(["batch", 4, 8])],
      ["V", normal(["batch", 4, 4])],
      ["mask", normal([3, 6])],
      ["pastK", normal(["batch", 4, 2, 2])],
      ["pastV", normal(["batch", 4, 2, 1])],
    ],
    { q_num_heads: ["int", 4], kv_num_heads: ["int", 4], scale: ["float", 0.3] },
    { outputs: ["Y", "K1", "V1", "QK"], gradient: false },
  ),
  ...[0, 1].map((interleaved) =>
    layer(
      "RotaryEmbedding",
      23,
      `interleaved ${interleaved}`,
      [
        ["X", normal(["batch", 3, 2, 6])],
        ["cos", normal([6, 2])],
        ["sin", normal([6, 2])],
        ["places", integers([0, 3, 5, 1, 1, 2], ["batch", 2])],
      ],
      { interleaved: ["int", interleaved], rotary_embedding_dim: ["int", 4] },
      { gradient: false },
    ),
  ),
];

const modes = [
  ["bilinear", 16],
  ["bicubic", 16],
  ["nearest", 16],
  ["linear", 20],
] as const;
const paddings = ["zeros", "border", "reflection"];

const grids: readonly LayerNode[] = [
  ...modes.flatMap(([mode, opset]) =>
    paddings.flatMap((padding_mode) =>
      [0, 1].map((align_corners) =>
        layer(
          "GridSample",
          opset,
          `${mode}, ${padding_mode}, align_corners ${align_corners}`,
          [
            ["X", normal([2, 3, 4, 5])],
            ["grid", normal([2, 5, 6, 2])],
          ],
          {
            mode: ["string", mode],
            padding_mode: ["string", padding_mode],
            align_corners: ["int", align_corners],
          },
          { gradient: false },
        ),
      ),
    ),
  ),
  ...[0, 1].flatMap((align_corners) => [
    layer(
      "AffineGrid",
      20,
      `of pictures, align_corners ${align_corners}`,
      [
        ["theta", normal([2, 2, 3])],
        ["size", int64s([2, 3, 4, 5])],
      ],
      { align_corners: ["int", align_corners] },
    ),
    layer(
      "AffineGrid",
      20,
      `of volumes, align_corners ${align_corners}`,
      [
        ["theta", normal(["batch", 3, 4])],
        ["size", int64s([3, 1, 2, 3, 4])],
      ],
      { align_corners: ["int", align_corners] },
    ),
  ]),
  layer(
    "Col2Im",
    18,
    "strides, pads, dilations",
    [
      ["input", normal(["batch", 12, 9])],
      ["image_shape", int64s([6, 7])],
      ["block_shape", int64s([2, 3])],
    ],
    { strides: ["ints", [2, 3]], pads: ["ints", [1, 2, 0, 0]], dilations: ["ints", [1, 1]] },
  ),
  layer(
    "Col2Im",
    18,
    "shapes that only a run tells",
    [
      ["input", normal(["batch", 12, 9])],
      ["image_shape", integers([6, 7])],
      ["block_shape", integers([2, 3])],
    ],
    { strides: ["ints", [2, 3]], pads: ["ints", [1, 2, 0, 0]], dilations: ["ints", [1, 1]] },
  ),
  layer("Col2Im", 18, "three axes, a block that only a run tells", [
    ["input", normal(["batch", 16, 12])],
    ["image_shape", int64s([4, 3, 3])],
    ["block_shape", integers([2, 2, 2])],
  ]),
  ...([undefined, [-1, 1]] as const).map((axes) =>
    layer(
      "CenterCropPad",
      18,
      axes ? "two axes" : "every axis",
      [
        ["X", normal([4, 5, 3])],
        ["shape", int64s(axes ? [6, 2] : [3, 8, 2])],
      ],
      axes ? { axes: ["ints", axes] } : {},
    ),
  ),
];

/** Operators whose inputs were attributes, or that had another name, before opset 10 or 11. */
const before11: readonly LayerNode[] = [
  layer("Pad", 10, "constant", [["X", normal(["batch", 3])]], {
    pads: ["ints", [0, 2, 1, 1]],
    value: ["float", 1.5],
  }),
  layer("Pad", 9, "reflect, negative", [["X", normal([3, 4])]], {
    pads: ["ints", [2, 1, 0, -1]],
    mode: ["string", "reflect"],
  }),
  layer("Slice", 9, "", [["X", normal(["batch", 5])]], {
    starts: ["ints", [1]],
    ends: ["ints", [-1]],
    axes: ["ints", [1]],
  }),
  layer("Slice", 9, "without axes", [["X", normal([4, 5])]], {
    starts: ["ints", [1, 2]],
    ends: ["ints", [3, 9]],
  }),
  layer(
    "TopK",
    9,
    "",
    [["X", distinct(["batch", 5])]],
    { k: ["int", 2], axis: ["int", 1] },
    { outputs: ["Y", "I"], gradient: false },
  ),
  layer(
    "Scatter",
    10,
    "",
    [
      ["X", normal([3, 3])],
      ["I", integers([0, 1, 2, 1, 2, 0], [2, 3])],
      ["U", normal([2, 3])],
    ],
    { axis: ["int", 0] },
  ),
];

/** Operators that have an expansion, and old ones, in the forms of files. */
export const expansionNodes: readonly LayerNode[] = [
  ...losses,
  ...attention,
  ...grids,
  ...roiNodes,
  ...before11,
];
