// writes graphs of every operator at every opset from 11 to 23 into the folder OUT, and their list,
// cases.json

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import {
  appendGradients,
  createBuilder,
  createModel,
  type DataType,
  encodeModel,
  Graph,
  lowerGraph,
  nameOf,
  operators,
  portable,
  UserError,
} from "../../../graph-builder/index.ts";
import { isOpType } from "../../../graph-builder/operators/index.ts";
import { ShapeError } from "../../../graph-builder/operators/schema.ts";
import { forwardOf } from "../../support/check-gradient.ts";
import { gradientCases } from "../../support/gradient-cases.ts";
import { shapeCases } from "../../support/shape-cases.ts";

const opsets = Array.from({ length: 13 }, (_, i) => 11 + i);
const types: readonly DataType[] = [
  ...(["double", "float16", "bfloat16", "bool", "int8", "int16", "int32", "int64"] as const),
  ...(["uint8", "uint16", "uint32", "uint64"] as const),
];

interface Written {
  readonly label: string;
  readonly graph: Graph;
  /** Whether the types were chosen without asking whether ONNX has the operator for them. */
  readonly isGuessed: boolean;
}

/** The graph of a case, its backward graph, and both in the operators of ai.onnx alone. */
function graphsOf(): Written[] {
  const forward = shapeCases.map(({ label, ...each }) => ({ label, graph: forwardOf(each).g.graph }));
  const backward = gradientCases.map(({ opType, title, test: given }) => {
    const { g, values, outputs } = forwardOf(given);
    const terms = outputs.map((output) => g.ReduceSum(output, null, { keepdims: 0 }));
    const isTarget = (name: string) =>
      given.targets?.includes(name) ?? given.inputs[name]?.tensor.elemType === "float";
    const targets = Object.values(values).filter((value) => isTarget(nameOf(value)));
    for (const [i, gradient] of appendGradients(g, g.Sum(...terms), targets).entries())
      g.output(gradient, `gradient${i}`);
    return { label: `backward of ${opType} ${title}`, graph: lowerGraph(g.graph, portable) };
  });
  const lowered = forward.map(({ label, graph }) => ({
    label: `lowered ${label}`,
    graph: lowerGraph(graph, portable),
  }));
  return [...forward, ...lowered, ...backward].map((each) => ({ ...each, isGuessed: false }));
}

/** Every operator that takes matrices of one type and no attributes, by all types. */
function typedGraphs(): Written[] {
  return Object.keys(operators)
    .filter(isOpType)
    .flatMap((opType) => types.flatMap((type) => typedGraph(opType, type) ?? []));
}

function typedGraph(opType: keyof typeof operators, type: DataType): Written | undefined {
  const { domain, inputs } = operators[opType];
  if (domain !== "") return undefined;
  const g = createBuilder(new Graph("typed"));
  const given = inputs
    .filter((name) => !name.endsWith("?"))
    .map((name) => g.input(name.replace("...", ""), type, [2, 2]));
  try {
    const node = g.nodeFrom(opType, given, {}, opType);
    for (const [i, output] of node.outputs.entries()) g.output(output, `y${i}`);
    return { label: `${opType} of ${type}`, graph: g.graph, isGuessed: true };
  } catch (error) {
    // an operator that takes no matrices, or wants attributes
    if (error instanceof ShapeError || error instanceof TypeError) return undefined;
    throw error;
  }
}

/** The cases of gradients in two types of 16 bits. */
function halfGraphs(): Written[] {
  return (["float16", "bfloat16"] as const).flatMap((type) =>
    gradientCases.flatMap(({ opType, title, test: given }) => {
      try {
        const { graph } = forwardOf(given, type).g;
        return { label: `${opType} ${title} of ${type}`, graph, isGuessed: true };
      } catch (error) {
        if (error instanceof ShapeError) return [];
        throw error;
      }
    }),
  );
}

test("writes every operator at every opset", () => {
  mkdirSync(folderGiven(), { recursive: true });
  const graphs = [...graphsOf(), ...typedGraphs(), ...halfGraphs()];
  const seen = new Set<string>();
  const cases = graphs.flatMap(({ graph, ...each }, i) =>
    opsets.map((opset) => {
      try {
        const bytes = encodeModel(createModel(graph, { opset }));
        const text = Buffer.from(bytes).toString("latin1");
        if (seen.has(text)) return { ...each, opset };
        seen.add(text);
        const file = `${i}-${opset}.onnx`;
        writeFileSync(join(folderGiven(), file), bytes);
        return { ...each, opset, file, graph: i };
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        return { ...each, opset, refused: error.message };
      }
    }),
  );
  writeFileSync(join(folderGiven(), "cases.json"), JSON.stringify(cases));
  expect(cases.length).toBeGreaterThan(0);
});

function folderGiven(): string {
  const folder = process.env["OUT"];
  if (folder === undefined) throw new Error("OUT must name a folder");
  return folder;
}
