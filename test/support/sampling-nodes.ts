import { floats, type GivenShape, int64s } from "../../graph-builder/index.ts";
import type { ForeignNode } from "./foreign-node.ts";
import { type LayerNode, layer } from "./layer-nodes.ts";
import { dimsOf, type Input, normal, positive, uniform } from "./random-tensor.ts";

const picture = normal(["batch", 2, 5, 6]);

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

const deformed: ForeignNode["inputs"] = [
  ["X", normal(["batch", 4, 5, 6])],
  ["W", normal([6, 2, 2, 3])],
  ["offset", between(["batch", 24, 3, 3])],
  ["B", normal([6])],
  ["mask", positive(["batch", 12, 3, 3])],
];

/** Layers that read pictures between their pixels. */
export const samplingNodes: readonly LayerNode[] = [
  ...(["nearest", "linear"] as const).flatMap((mode) => {
    const inMode = (
      opType: string,
      opset: number,
      what: string,
      inputs: ForeignNode["inputs"],
      X = picture,
    ) => layer(opType, opset, `${mode}${what}`, [["X", X], ...inputs], { mode: ["string", mode] });
    const larger = floats([1, 1, 1.5, 2]);
    const smaller = floats([1, 1, 0.6, 0.7]);
    const none = floats([]);
    return [
      inMode("Upsample", 9, "", [["scales", larger]]),
      inMode("Resize", 10, ", enlarged", [["scales", larger]]),
      inMode("Resize", 10, ", made smaller", [["scales", smaller]]),
      inMode(
        "Resize",
        11,
        " with empty scales",
        [
          ["roi", none],
          ["scales", none],
          ["sizes", int64s([2, 2, 8, 3])],
        ],
        normal([2, 2, 5, 6]),
      ),
      inMode("Resize", 11, " with empty roi", [
        ["roi", none],
        ["scales", floats([1, 1, 0.6, 2])],
      ]),
    ];
  }),
  layer(
    "Upsample",
    9,
    "scales that only a run tells",
    [
      ["X", picture],
      ["scales", { shape: [4], tensor: floats([1, 1, 1.5, 2]) }],
    ],
    {},
    { targets: ["X"] },
  ),
  layer(
    "Resize",
    18,
    "cubic with antialias",
    [
      ["X", picture],
      ["roi", null],
      ["scales", floats([0.6, 1.3])],
    ],
    { mode: ["string", "cubic"], antialias: ["int", 1], axes: ["ints", [2, 3]] },
  ),
  layer(
    "Resize",
    19,
    "linear in one scale",
    [
      ["X", picture],
      ["roi", null],
      ["scales", null],
      ["sizes", int64s([8, 8])],
    ],
    {
      mode: ["string", "linear"],
      axes: ["ints", [2, 3]],
      keep_aspect_ratio_policy: ["string", "not_larger"],
    },
  ),
  layer("DeformConv", 19, "groups, mask and bias", deformed, {
    ...{ group: ["int", 2], offset_group: ["int", 2], strides: ["ints", [2, 2]] },
    ...{ pads: ["ints", [1, 0, 0, 1]], dilations: ["ints", [1, 1]] },
  }),
  layer(
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
];
