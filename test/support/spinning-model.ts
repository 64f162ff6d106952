import { createBuilder, createModel, encodeModel, Graph } from "../../graph-builder/index.ts";
import { parseModel } from "../../graph-builder/onnx/parse.ts";
import { encodeMessage } from "../../graph-builder/onnx/wire.ts";
import { weight } from "./artifact-models.ts";

/** A classifier of 10 classes of pictures 3 x side x side whose scores go through a Loop of 2^62 turns. */
export function spinningModel(side = 8): Uint8Array {
  const g = createBuilder(new Graph("spinning"));
  const x = g.input("x", "float", ["batch", 3, side, side]);
  g.output(g.Gemm(g.Flatten(g.GlobalAveragePool(x)), weight(g, "fc", [10, 3]), null, { transB: 1 }), "y");
  const model = parseModel(encodeModel(createModel(g.graph)), "model");
  const value = (name: string, elemType: number, dims: readonly string[] = []) => ({
    name,
    type: { tensorType: { elemType, shape: { dim: dims.map((dimParam) => ({ dimParam })) } } },
  });
  const [FLOAT, INT64, BOOL] = [1, 7, 9];
  const body = {
    name: "body",
    input: [value("i", INT64), value("go", BOOL), value("before", FLOAT, ["b", "c"])],
    output: [value("goes", BOOL), value("after", FLOAT, ["b", "c"])],
    node: [
      { opType: "Identity", input: ["go"], output: ["goes"] },
      { opType: "Identity", input: ["before"], output: ["after"] },
    ],
  };
  const loop = {
    opType: "Loop",
    input: ["turns", "", "scores"],
    output: ["y"],
    attribute: [{ name: "body", type: 5, g: body }],
  };
  const turns = new Uint8Array(new BigInt64Array([2n ** 62n]).buffer);
  const { node = [], initializer = [] } = model.graph;
  const renamed = node.map((each) => ({
    ...each,
    output: (each.output ?? []).map((name) => (name === "y" ? "scores" : name)),
  }));
  const graph = {
    ...model.graph,
    node: [...renamed, loop],
    initializer: [...initializer, { name: "turns", dataType: INT64, dims: [], rawData: turns }],
  };
  return encodeMessage("ModelProto", { ...model, graph });
}
