// writes an optimizer model of three parameters: write-optimizer.js OUTPUT RULE
// RULE is the JSON of an OptimizerRule

import { bindModel, encodeModel, optimizerGraph } from "../../dist/graph-builder/index.js";
import { writeFileAtomic } from "../../dist/runtime/node/index.js";

const [output, rule] = process.argv.slice(2);
const parameters = [
  { name: "layer.weight", shape: [4, 3] },
  { name: "layer.bias", shape: [4] },
  { name: "conv.weight", shape: [3, 2, 2, 2] },
];
await writeFileAtomic(output, encodeModel(bindModel(optimizerGraph(parameters, JSON.parse(rule)))));
