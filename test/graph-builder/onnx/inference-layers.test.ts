import onnxProto from "onnx-proto";
import { describe, expect, test } from "vitest";
import { generateArtifacts } from "../../../artifacts/index.ts";
import { decodeModel, printGraph, withInferenceLayers } from "../../../graph-builder/index.ts";

const { onnx } = onnxProto;

const tensorType = (dims: readonly number[]) => ({
  tensorType: { elemType: 1, shape: { dim: dims.map((dimValue) => ({ dimValue })) } },
});

const floatTensor = (name: string, dims: readonly number[], values: readonly number[]) => ({
  name,
  dims,
  dataType: 1,
  floatData: values,
});

interface Layers {
  readonly opset: number;
  /** The attributes and further outputs of BatchNormalization, and the further inputs of Dropout. */
  readonly attribute?: readonly object[];
  readonly statistics?: readonly string[];
  readonly dropoutInputs?: readonly string[];
  readonly outputs?: readonly string[];
}

/** scores = fc(dropout(bn(x))) over x float [4, 2]. */
function file({ opset, attribute = [], statistics = [], dropoutInputs = [], outputs = [] }: Layers) {
  const node = [
    { opType: "Constant", output: ["on"], attribute: [{ name: "value", type: 4, t: isOn }] },
    {
      opType: "BatchNormalization",
      name: "bn",
      input: ["x", "scale", "bias", "mean", "var"],
      output: ["normal", ...statistics],
      attribute: [{ name: "epsilon", type: 1, f: 0.5 }, ...attribute],
    },
    { opType: "Dropout", name: "drop", input: ["normal", "ratio", ...dropoutInputs], output: ["dropped"] },
    { opType: "Gemm", name: "fc", input: ["dropped", "fc.weight", "fc.bias"], output: ["scores"] },
  ];
  const initializer = [
    ...["scale", "bias", "mean", "var"].map((name, i) => floatTensor(name, [2], [i + 1, i + 2])),
    floatTensor("ratio", [], [0.5]),
    floatTensor("fc.weight", [2, 3], [1, 2, 3, 4, 5, 6]),
    floatTensor("fc.bias", [3], [1, 2, 3]),
  ];
  const graph = {
    name: "g",
    node,
    initializer,
    input: [{ name: "x", type: tensorType([4, 2]) }],
    output: [
      { name: "scores", type: tensorType([4, 3]) },
      ...outputs.map((name) => ({ name, type: tensorType([2]) })),
    ],
    valueInfo: statistics.map((name) => ({ name, type: tensorType([2]) })),
  };
  const opsetImport = [{ domain: "", version: opset }];
  return onnx.ModelProto.encode(onnx.ModelProto.fromObject({ irVersion: 8, opsetImport, graph })).finish();
}

const isOn = { name: "on", dims: [], dataType: 9, int32Data: [1] };
const trainingMode = { name: "training_mode", type: 2, i: 1 };

const inTraining: readonly [string, Layers][] = [
  ["opset 12", { opset: 12, statistics: ["m", "v", "sm", "sv"], dropoutInputs: ["on"] }],
  ["opset 17", { opset: 17, attribute: [trainingMode], statistics: ["m", "v"], dropoutInputs: ["on"] }],
];

describe.each(inTraining)("a file of %s in training form", (_, layers) => {
  const inference = file({ opset: layers.opset });

  test("is put into inference form", () => {
    const changed = withInferenceLayers(file(layers));
    expect(printGraph(decodeModel(changed).graph)).toBe(printGraph(decodeModel(inference).graph));
    const { graph } = onnx.ModelProto.decode(changed);
    expect(graph?.node?.map(({ output }) => output)).toEqual([["on"], ["normal"], ["dropped"], ["scores"]]);
    expect(graph?.valueInfo).toEqual([]);
  });

  test("gives the training artifacts of the file in inference form", () => {
    const options = { loss: "cross-entropy", trainable: "head" } as const;
    expect(generateArtifacts(file(layers), options)).toEqual(generateArtifacts(inference, options));
  });
});

test.each<[string, Layers]>([
  ["is in inference form", { opset: 17 }],
  [
    "returns new statistics",
    { opset: 17, attribute: [trainingMode], statistics: ["m", "v"], outputs: ["m"] },
  ],
  ["is told by an input whether it drops", { opset: 17, dropoutInputs: ["mode"] }],
])("a file that %s stays as it is", (_, layers) => {
  const bytes = file(layers);
  expect(withInferenceLayers(bytes)).toBe(bytes);
});
