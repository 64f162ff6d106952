import type { ForeignNode } from "./foreign-node.ts";
import { type LayerNode, layer } from "./layer-nodes.ts";
import { integers, normal, uniform } from "./random-tensor.ts";

/** A layer of opset 27, for which ONNX Runtime 1.30 has no kernels yet. */
function withoutKernel(
  opType: string,
  title: string,
  inputs: ForeignNode["inputs"],
  attributes: ForeignNode["attributes"],
): LayerNode {
  const outputs = ["Y", "state"];
  return layer(opType, 27, title, inputs, attributes, { kernel: false, outputs });
}

const heads = { q_num_heads: ["int", 4], kv_num_heads: ["int", 2] } as const;
const words: ForeignNode["inputs"] = [
  ["Q", uniform(["batch", 3, 8])],
  ["K", uniform(["batch", 3, 4])],
  ["V", normal(["batch", 3, 6])],
];
const past = ["past", normal(["batch", 2, 2, 3])] as const;
const decay = ["decay", normal(["batch", 3, 4])] as const;
const beta = ["beta", uniform(["batch", 3, 2])] as const;
const none = (name: string) => [name, null] as const;

/** Layers that keep a state from one call to the next, in the forms of files. */
export const statefulNodes: readonly LayerNode[] = [
  withoutKernel(
    "CausalConvWithState",
    "without a past",
    [
      ["X", normal(["batch", 3, 5])],
      ["W", normal([3, 1, 4])],
    ],
    {},
  ),
  withoutKernel(
    "CausalConvWithState",
    "a bias, a past and silu",
    [
      ["X", normal(["batch", 3, 2])],
      ["W", normal([3, 1, 4])],
      ["B", normal([3])],
      ["past", normal(["batch", 3, 3])],
    ],
    { activation: ["string", "silu"] },
  ),
  withoutKernel("LinearAttention", "linear", words, { ...heads, update_rule: ["string", "linear"] }),
  withoutKernel("LinearAttention", "gated", [...words, past, ["decay", normal(["batch", 3, 2])]], {
    ...heads,
    update_rule: ["string", "gated"],
    scale: ["float", 0.3],
  }),
  withoutKernel(
    "LinearAttention",
    "delta",
    [...words, none("past"), none("decay"), ["beta", uniform(["batch", 3, 1])]],
    {
      ...heads,
      update_rule: ["string", "delta"],
    },
  ),
  withoutKernel("LinearAttention", "gated delta", [...words, past, decay, beta], heads),
  layer(
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
  layer("TensorScatter", 24, "from the start", [
    ["past", normal(["batch", 4, 2])],
    ["update", normal(["batch", 3, 2])],
  ]),
];
