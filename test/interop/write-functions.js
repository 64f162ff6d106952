// writes a model whose function calls another one of another domain: write-functions.js OUTPUT

import {
  createBuilder,
  createModel,
  defineFunction,
  encodeModel,
  Graph,
  tensorType,
} from "../../dist/graph-builder/index.js";
import { writeFileAtomic } from "../../dist/runtime/node/index.js";

const [output] = process.argv.slice(2);
const anyShape = tensorType("float", ["..."]);
const round = defineFunction({
  domain: "com.example",
  name: "RoundThrough",
  inputs: [["x", anyShape]],
  outputs: [["y", anyShape]],
  body: (g, [x]) => [g.Round(x)],
});
const roundAndSum = defineFunction({
  domain: "org.example",
  name: "RoundAndSum",
  inputs: [
    ["a", anyShape],
    ["b", anyShape],
  ],
  outputs: [
    ["rounded", anyShape],
    ["sum", anyShape],
  ],
  body: (g, [a, b]) => [g.call(round, [a]), g.Add(a, b)],
});
const g = createBuilder(new Graph("functions"));
const input = (name) => g.input(name, "float", ["batch", 3]);
const [rounded, sum] = g.call(roundAndSum, [input("a"), input("b")]);
g.output(rounded, "rounded");
g.output(sum, "sum");
await writeFileAtomic(output, encodeModel(createModel(g.graph)));
