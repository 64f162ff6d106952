import { floats, int64s } from "../../graph-builder/index.ts";
import type { ForeignNode } from "./foreign-node.ts";
import { type LayerNode, layer } from "./layer-nodes.ts";
import { normal } from "./random-tensor.ts";

const picture = normal(["batch", 2, 5, 6]);

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
];
