// writes models of single operators and of small networks into the folder OUT, and cases.json: their inputs,
// the gradients of their outputs, and the gradients that we compute from both

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  createModel,
  decodeModel,
  encodeModel,
  gradients,
  type Model,
  nameOf,
  type Tensor,
} from "../../../graph-builder/index.ts";
import { encodeTensor } from "../../../graph-builder/onnx/tensors.ts";
import { mlp, normal as normalWeights, smallCnn, twoHeads } from "../../support/artifact-models.ts";
import { forwardOf } from "../../support/check-gradient.ts";
import { expansionNodes } from "../../support/expansion-nodes.ts";
import { feedsOf, fileOf } from "../../support/foreign-node.ts";
import { gradientCases } from "../../support/gradient-cases.ts";
import { layerNodes } from "../../support/layer-nodes.ts";
import { normal } from "../../support/random-tensor.ts";
import { runGraph } from "../../support/run-graph.ts";
import { samplingNodes } from "../../support/sampling-nodes.ts";

/** A model, what it is fed, and the float inputs or constants whose gradients are compared. */
interface Subject {
  readonly label: string;
  readonly opType: string;
  readonly bytes: Uint8Array;
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly targets?: readonly string[];
}

const operators: readonly Subject[] = gradientCases.map(({ opType, title, test: given }) => ({
  label: [opType, title].filter(Boolean).join(", "),
  opType,
  bytes: encodeModel(createModel(forwardOf(given).g.graph)),
  feeds: Object.fromEntries(Object.entries(given.inputs).map(([name, { tensor }]) => [name, tensor])),
  ...(given.targets ? { targets: given.targets } : {}),
}));

const nodes: readonly Subject[] = [...layerNodes, ...samplingNodes, ...expansionNodes].flatMap(
  ({ title, node, test: { gradient = true, targets } = {} }) =>
    gradient
      ? {
          label: `${node.opType} of opset ${node.opset}, ${title}`,
          opType: node.opType,
          bytes: fileOf(node),
          feeds: feedsOf(node),
          ...(targets ? { targets } : {}),
        }
      : [],
);

function network(label: string, model: Model, feeds: Subject["feeds"]): Subject {
  const weights = model.graph.initializers.filter(({ constant }) => constant?.elemType === "float");
  const targets = [...Object.keys(feeds), ...weights.map(nameOf)];
  return { label, opType: label, bytes: encodeModel(model), feeds, targets };
}

const networks: readonly Subject[] = [
  network("a perceptron", mlp(), { x: normal([4, 3]).tensor }),
  network("a convolutional network", smallCnn(), { images: normalWeights("images", [2, 2, 6, 6]) }),
  network("a network with two heads", twoHeads(), { x: normal([4, 3]).tensor }),
];

/** The tensors as tensors.py reads them. */
function described(tensors: Readonly<Record<string, Tensor>>) {
  const types: Readonly<Record<string, string>> = { float: "float32", double: "float64" };
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => {
      const { rawData = new Uint8Array() } = encodeTensor(tensor, name);
      const { dims, elemType } = tensor;
      const data = Buffer.from(rawData).toString("base64");
      return [name, { type: types[elemType] ?? elemType, dims, data }];
    }),
  );
}

/** What we compute: the gradients of the targets where those of the outputs are random. */
async function compared({ bytes, feeds, targets }: Subject) {
  const model = decodeModel(bytes);
  const outputs = model.graph.outputs.filter(({ elemType }) => elemType === "float");
  const all = targets ?? Object.keys(feeds).filter((name) => feeds[name]?.elemType === "float");
  const results = await runGraph(model.graph, feeds);
  const seeds = Object.fromEntries(
    outputs.map((output) => [nameOf(output), normal(results[nameOf(output)]?.dims ?? []).tensor]),
  );
  const backward = gradients(model, outputs, all, { gradOutputs: true });
  const given = Object.entries(seeds).map(([name, seed]) => [`${name}_grad`, seed] as const);
  const found = await runGraph(backward.graph, { ...feeds, ...Object.fromEntries(given) });
  const own = all.map((name) => [name, found[`${name}_grad`]] as const);
  const known = own.flatMap(([name, tensor]) => (tensor ? [[name, tensor] as const] : []));
  expect(known.map(([name]) => name)).toEqual(all);
  return {
    feeds: described(feeds),
    seeds: described(seeds),
    gradients: described(Object.fromEntries(known)),
  };
}

test("writes every model with its gradients", async () => {
  const folder = process.env["OUT"];
  if (folder === undefined) throw new Error("OUT must name a folder");
  mkdirSync(folder, { recursive: true });
  const cases: object[] = [];
  for (const [i, subject] of [...operators, ...nodes, ...networks].entries()) {
    const { label, opType, bytes } = subject;
    const file = `${i}.onnx`;
    writeFileSync(join(folder, file), bytes);
    cases.push({ label, opType, file, ...(await compared(subject)) });
  }
  writeFileSync(join(folder, "cases.json"), JSON.stringify(cases));
  expect(cases.length).toBeGreaterThan(0);
});
