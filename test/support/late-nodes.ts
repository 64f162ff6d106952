import { floats, type GivenShape, int64s, type Tensor } from "../../graph-builder/index.ts";
import { type LayerNode, layer } from "./layer-nodes.ts";
import { dimsOf, type Input, integers, normal, positive, uniform } from "./random-tensor.ts";

type Inputs = readonly (readonly [name: string, value: Input | Tensor | null])[];

/** A layer that ONNX Runtime has no kernel for, or not at this opset. */
function late(
  opType: string,
  opset: number,
  title: string,
  inputs: Inputs,
  attributes: Parameters<typeof layer>[4] = {},
  test: Parameters<typeof layer>[5] = {},
): LayerNode {
  return layer(opType, opset, title, inputs, attributes, { kernel: false, ...test });
}

const complex = normal(["batch", 5, 4, 2]);
const real = normal(["batch", 5, 4, 1]);

const transforms: readonly LayerNode[] = [
  layer("DFT", 17, "complex", [["X", complex]]),
  layer("DFT", 17, "one side", [["X", real]], { axis: ["int", 2], onesided: ["int", 1] }),
  layer(
    "DFT",
    17,
    "inverse, longer",
    [
      ["X", complex],
      ["length", int64s(7)],
    ],
    { inverse: ["int", 1] },
  ),
  layer("DFT", 20, "shorter", [
    ["X", real],
    ["length", int64s(3)],
    ["axis", int64s(1)],
  ]),
  late(
    "DFT",
    20,
    "inverse, one side",
    [
      ["X", complex],
      ["length", int64s(9)],
      ["axis", int64s(-3)],
    ],
    {
      inverse: ["int", 1],
      onesided: ["int", 1],
    },
  ),
  late("DFT", 20, "inverse, one side, of even length", [["X", complex]], {
    inverse: ["int", 1],
    onesided: ["int", 1],
  }),
  late("DFT", 20, "an axis that only a run tells", [
    ["X", complex],
    ["length", null],
    ["axis", integers([1], [])],
  ]),
  layer("STFT", 17, "a window", [
    ["signal", normal(["batch", 11, 1])],
    ["step", int64s(3)],
    ["window", normal([4])],
    ["length", int64s(4)],
  ]),
  layer(
    "STFT",
    17,
    "both sides",
    [
      ["signal", normal(["batch", 11, 1])],
      ["step", int64s(2)],
      ["window", null],
      ["length", int64s(5)],
    ],
    {
      onesided: ["int", 0],
    },
  ),
  ...["HannWindow", "HammingWindow", "BlackmanWindow"].flatMap((opType) =>
    [0, 1].map((periodic) =>
      layer(
        opType,
        17,
        `periodic ${periodic}`,
        [["size", integers([9], [])]],
        { periodic: ["int", periodic] },
        { gradient: false },
      ),
    ),
  ),
];

/** Offsets between the elements of a picture, where the gradient makes no jumps. */
function between(shape: GivenShape): Input {
  const numbers = uniform(shape).tensor.numbers();
  return {
    shape,
    tensor: floats(
      numbers.map((number) => 0.2 + 0.6 * number),
      dimsOf(shape),
    ),
  };
}

const deformed: Inputs = [
  ["X", normal(["batch", 4, 5, 6])],
  ["W", normal([6, 2, 2, 3])],
  ["offset", between(["batch", 24, 3, 3])],
  ["B", normal([6])],
  ["mask", positive(["batch", 12, 3, 3])],
];

const convolutions: readonly LayerNode[] = [
  late("DeformConv", 19, "groups, mask and bias", deformed, {
    ...{ group: ["int", 2], offset_group: ["int", 2], strides: ["ints", [2, 2]] },
    ...{ pads: ["ints", [1, 0, 0, 1]], dilations: ["ints", [1, 1]] },
  }),
  late(
    "DeformConv",
    19,
    "dilated",
    [
      ["X", normal(["batch", 2, 5, 5])],
      ["W", normal([3, 2, 2, 2])],
      ["offset", between(["batch", 8, 3, 3])],
    ],
    { dilations: ["ints", [2, 2]] },
  ),
  late(
    "CausalConvWithState",
    27,
    "without a past",
    [
      ["X", normal(["batch", 3, 5])],
      ["W", normal([3, 1, 4])],
    ],
    {},
    {
      outputs: ["Y", "state"],
    },
  ),
  late(
    "CausalConvWithState",
    27,
    "a bias, a past and silu",
    [
      ["X", normal(["batch", 3, 2])],
      ["W", normal([3, 1, 4])],
      ["B", normal([3])],
      ["past", normal(["batch", 3, 3])],
    ],
    { activation: ["string", "silu"] },
    { outputs: ["Y", "state"] },
  ),
];

const heads = { q_num_heads: ["int", 4], kv_num_heads: ["int", 2] } as const;
const words: Inputs = [
  ["Q", uniform(["batch", 3, 8])],
  ["K", uniform(["batch", 3, 4])],
  ["V", normal(["batch", 3, 6])],
];
const past = ["past", normal(["batch", 2, 2, 3])] as const;
const decay = ["decay", normal(["batch", 3, 4])] as const;
const beta = ["beta", uniform(["batch", 3, 2])] as const;
const none = (name: string) => [name, null] as const;
const both = { outputs: ["Y", "state"] };

const attentions: readonly LayerNode[] = [
  late("LinearAttention", 27, "linear", words, { ...heads, update_rule: ["string", "linear"] }, both),
  late(
    "LinearAttention",
    27,
    "gated",
    [...words, past, ["decay", normal(["batch", 3, 2])]],
    {
      ...heads,
      update_rule: ["string", "gated"],
      scale: ["float", 0.3],
    },
    both,
  ),
  late(
    "LinearAttention",
    27,
    "delta",
    [...words, none("past"), none("decay"), ["beta", uniform(["batch", 3, 1])]],
    {
      ...heads,
      update_rule: ["string", "delta"],
    },
    both,
  ),
  late("LinearAttention", 27, "gated delta", [...words, past, decay, beta], heads, both),
  late(
    "TensorScatter",
    24,
    "circular",
    [
      ["past", normal(["batch", 2, 4, 3])],
      ["update", normal(["batch", 2, 2, 3])],
      ["first", integers([0, 3, 1], ["batch"])],
    ],
    { mode: ["string", "circular"] },
  ),
  late("TensorScatter", 24, "from the start", [
    ["past", normal(["batch", 4, 2])],
    ["update", normal(["batch", 3, 2])],
  ]),
];

/** Operators of later opsets in the forms of files: of signals, convolutions, and layers that keep a state. */
export const lateNodes: readonly LayerNode[] = [...transforms, ...convolutions, ...attentions];
