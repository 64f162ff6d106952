import { expansionNodes } from "./expansion-nodes.ts";
import { fusedNodes } from "./fused-nodes.ts";
import { type LayerNode, layerNodes } from "./layer-nodes.ts";
import { machineLearningNodes } from "./machine-learning-nodes.ts";
import { samplingNodes } from "./sampling-nodes.ts";
import { signalNodes } from "./signal-nodes.ts";
import { statefulNodes } from "./stateful-nodes.ts";

/** Layers of other programs' files that are read as operators of ours. */
export const foreignNodes: readonly LayerNode[] = [
  ...layerNodes,
  ...samplingNodes,
  ...expansionNodes,
  ...signalNodes,
  ...statefulNodes,
  ...machineLearningNodes,
  ...fusedNodes,
];
