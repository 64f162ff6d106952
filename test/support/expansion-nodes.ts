import { type LayerNode, layer } from "./layer-nodes.ts";
import { integers, normal, positive } from "./random-tensor.ts";

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

/** Operators that have an expansion, in the forms of files. */
export const expansionNodes: readonly LayerNode[] = [...losses];
