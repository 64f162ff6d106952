import { floats, int64s } from "../../graph-builder/index.ts";
import { type LayerNode, layer } from "./layer-nodes.ts";
import { normal } from "./random-tensor.ts";

const picture = normal(["batch", 2, 5, 6]);

/** Layers that read pictures between their pixels. */
export const samplingNodes: readonly LayerNode[] = [
  ...(["nearest", "linear"] as const).flatMap((mode) => [
    layer(
      "Upsample",
      9,
      mode,
      [
        ["X", picture],
        ["scales", floats([1, 1, 1.5, 2])],
      ],
      { mode: ["string", mode] },
    ),
    layer(
      "Resize",
      10,
      `${mode}, enlarged`,
      [
        ["X", picture],
        ["scales", floats([1, 1, 1.5, 2])],
      ],
      { mode: ["string", mode] },
    ),
    layer(
      "Resize",
      10,
      `${mode}, made smaller`,
      [
        ["X", picture],
        ["scales", floats([1, 1, 0.6, 0.7])],
      ],
      { mode: ["string", mode] },
    ),
    layer(
      "Resize",
      11,
      `${mode} with empty scales`,
      [
        ["X", normal([2, 2, 5, 6])],
        ["roi", floats([])],
        ["scales", floats([])],
        ["sizes", int64s([2, 2, 8, 3])],
      ],
      { mode: ["string", mode] },
    ),
    layer(
      "Resize",
      11,
      `${mode} with empty roi`,
      [
        ["X", picture],
        ["roi", floats([])],
        ["scales", floats([1, 1, 0.6, 2])],
      ],
      { mode: ["string", mode] },
    ),
  ]),
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
