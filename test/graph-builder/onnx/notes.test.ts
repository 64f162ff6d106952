import { expect, test } from "vitest";
import {
  decodeModel,
  encodeModel,
  Graph,
  loweringOf,
  rewriteGraph,
  runPasses,
  trainingPasses,
  UserError,
} from "../../../graph-builder/index.ts";
import type { Message } from "../../../graph-builder/onnx/schema.ts";
import { decodeMessage, encodeMessage } from "../../../graph-builder/onnx/wire.ts";

const entry = (key: string, value: string) => ({ key, value });
const floats = (...dims: number[]) => ({
  tensorType: { elemType: 1, shape: { dim: dims.map((dimValue) => ({ dimValue })) } },
});

/** A file of IR version 13 that says everything of itself that ONNX has a field for. */
const file: Message<"ModelProto"> = {
  irVersion: 13,
  producerName: "other",
  producerVersion: "2.1",
  domain: "org.example",
  modelVersion: 7,
  docString: "a model",
  opsetImport: [{ domain: "", version: 17 }],
  metadataProps: [entry("author", "someone")],
  configuration: [{ name: "pair", numDevices: 2, device: ["a", "b"] }],
  graph: {
    name: "net",
    docString: "a graph",
    metadataProps: [entry("stage", "one")],
    quantizationAnnotation: [{ tensorName: "y", quantParameterTensorNames: [entry("SCALE_TENSOR", "w")] }],
    input: [{ name: "x", type: floats(2), docString: "an input", metadataProps: [entry("unit", "metre")] }],
    output: [
      { name: "y", type: floats(2), docString: "an output", metadataProps: [entry("unit", "second")] },
    ],
    valueInfo: [{ name: "m", type: floats(2), docString: "between", metadataProps: [entry("kept", "yes")] }],
    initializer: [
      {
        name: "w",
        dims: [2],
        dataType: 1,
        rawData: new Uint8Array(8),
        docString: "a weight",
        metadataProps: [entry("layer", "first")],
      },
    ],
    node: [
      {
        name: "mul",
        opType: "Mul",
        domain: "",
        input: ["x", "w"],
        output: ["m"],
        docString: "a product",
        metadataProps: [entry("namespace", "net/mul")],
        deviceConfigurations: [{ configurationId: "pair", pipelineStage: 1 }],
      },
      { name: "relu", opType: "Relu", domain: "", input: ["m"], output: ["y"] },
    ],
  },
};

const reread = (message: Message<"ModelProto">) =>
  decodeMessage("ModelProto", encodeModel(decodeModel(encodeMessage("ModelProto", message))));

test("a file read and written again keeps what it said of its model, graph, values and nodes", () => {
  expect(reread(file)).toEqual(decodeMessage("ModelProto", encodeMessage("ModelProto", file)));
});

test("fields that are not known are kept where they can be, and refused with a sentence where they cannot", () => {
  const unknownFields = [{ key: 0xa0 << 3, value: 5 }];
  const [mul = {}, relu = {}] = file.graph?.node ?? [];
  const node = { ...mul, unknownFields };
  const kept = { ...file, unknownFields, graph: { ...file.graph, unknownFields, node: [node, relu] } };
  expect(reread(kept)).toEqual(decodeMessage("ModelProto", encodeMessage("ModelProto", kept)));
  const attribute = [{ name: "alpha", type: 1, f: 1, unknownFields }];
  const lost = { ...file, graph: { ...file.graph, node: [{ ...mul, attribute }, relu] } };
  expect(() => reread(lost)).toThrow(UserError);
  expect(() => reread(lost)).toThrow(
    "the model cannot be used: its AttributeProto has the field 160, which is unknown.",
  );
});

test("notes stay with what a rewrite and a lowering keep", () => {
  const { graph } = decodeModel(encodeMessage("ModelProto", file));
  for (const kept of [
    rewriteGraph(graph, () => undefined),
    runPasses(graph, trainingPasses(loweringOf("portable"))),
  ]) {
    expect(kept.notes?.docString).toBe("a graph");
    expect(kept.input("x").notes?.metadataProps).toEqual({ unit: "metre" });
    expect(kept.output("y").notes?.docString).toBe("an output");
    expect(kept.nodes[0]?.notes?.metadataProps).toEqual({ namespace: "net/mul" });
    expect(kept.initializers[0]?.notes?.docString).toBe("a weight");
  }
  expect(new Graph("ours").notes).toBeUndefined();
});

test.each([
  ["a training_info", { ...file, trainingInfo: [{}] }, /it has a training_info, which is not supported/],
] as const)("%s is refused with a sentence", (_, message, reason) => {
  expect(() => reread(message)).toThrow(reason);
});

test.each([
  ["bfloat16", 16, [3], 6],
  ["float8e4m3fn", 17, [3], 3],
  ["float8e5m2fnuz", 20, [3], 3],
  ["int4", 22, [3], 2],
  ["uint4", 21, [4], 2],
  ["float4e2m1", 23, [2, 3], 3],
  ["uint2", 25, [5], 2],
] as const)("an initializer of %s is kept as its bits", (elemType, dataType, dims, size) => {
  const rawData = Uint8Array.from({ length: size }, (_, i) => 17 * i + 1);
  const message = {
    ...file,
    graph: {
      ...file.graph,
      initializer: [...(file.graph?.initializer ?? []), { name: "q", dims, dataType, rawData }],
      node: [
        ...(file.graph?.node ?? []),
        { opType: "Identity", name: "same", domain: "", input: ["q"], output: ["z"] },
      ],
      output: [...(file.graph?.output ?? []), { name: "z" }],
    },
  };
  const { graph } = decodeModel(encodeMessage("ModelProto", message));
  expect(graph.output("z").elemType).toBe(elemType);
  const written = reread(message).graph?.initializer?.[1];
  expect([...(written?.rawData ?? [])]).toEqual([...rawData]);
  expect(written?.dataType).toBe(dataType);
});
