import { floats, int64s } from "../../graph-builder/index.ts";
import { type LayerNode, layer } from "./layer-nodes.ts";
import { integers, normal } from "./random-tensor.ts";

const complex = normal(["batch", 5, 4, 2]);
const real = normal(["batch", 5, 4, 1]);

/** Operators of signals in time, in the forms of files. */
export const signalNodes: readonly LayerNode[] = [
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
  layer(
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
  layer("DFT", 20, "inverse, one side, of even length", [["X", complex]], {
    inverse: ["int", 1],
    onesided: ["int", 1],
  }),
  layer("DFT", 20, "an axis that only a run tells", [
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
  ...[8, 4].map((bins) =>
    layer(
      "MelWeightMatrix",
      17,
      `${bins} bins`,
      [
        ["bins", integers([bins], [])],
        ["length", integers([64], [])],
        ["rate", integers([8192], [])],
        ["lower", floats([30], [])],
        ["upper", floats([4000], [])],
      ],
      {},
      { gradient: false },
    ),
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
