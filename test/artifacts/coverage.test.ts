import { expect, test } from "vitest";
import { generateArtifacts, type Loss, trainingCoverage } from "../../artifacts/index.ts";
import { encodeModel, Tensor } from "../../graph-builder/index.ts";
import { normal, smallCnn, twoHeads } from "../support/artifact-models.ts";
import { type FileParts, fileOf, floats, info, initializer, nodeOf } from "../support/file-model.ts";

const square = (name: string) => initializer(name, normal(name, [3, 3]));

/**
 * y = Mystery(x before) after, with an operator that nobody knows; z = x free; label = ArgMax(x counted).
 */
const mixed = fileOf({
  opsets: { "": 17, "some.domain": 1 },
  input: [info("x", ["n", 3])],
  output: [info("y", ["n", 3]), info("z", ["n", 3]), info("label", [1, 3], "int64")],
  valueInfo: [info("m", ["n", 3])],
  initializer: ["before", "after", "free", "counted"].map(square),
  node: [
    nodeOf("MatMul", ["x", "before"], ["b"]),
    nodeOf("Mystery", ["b"], ["m"], [], "some.domain"),
    nodeOf("MatMul", ["m", "after"], ["y"]),
    nodeOf("MatMul", ["x", "free"], ["z"]),
    nodeOf("MatMul", ["x", "counted"], ["c"]),
    nodeOf("ArgMax", ["c"], ["label"]),
  ],
});

test("the report names each obstacle, the parameters that it keeps from being trained, and no others", () => {
  const { outputs, parameters, obstacles } = trainingCoverage(mixed);
  expect(outputs.map(({ name, reason }) => [name, reason])).toEqual([
    ["y", undefined],
    ["z", undefined],
    ["label", "it is int64[1, 3], and a loss reads floats"],
  ]);
  expect(parameters.map(({ name, trainableFrom }) => [name, trainableFrom])).toEqual([
    ["before", []],
    ["after", ["y"]],
    ["free", ["z"]],
    ["counted", []],
  ]);
  expect(obstacles).toMatchObject([
    { node: "m_node", opType: "some.domain.Mystery", outputs: ["y"], parameters: ["before"] },
  ]);
  expect(obstacles[0]?.reason).toMatch(/Mystery at m_node/);
  expect(parameters[0]?.reason).toBe(obstacles[0]?.reason);
  expect(parameters[3]?.reason).toBe("no gradient passes ArgMax at label_node, whose derivative is 0");
});

test.each([
  ["a file with an operator that is not covered", mixed, ["y", "z"]],
  ["a network with batch normalisation", encodeModel(smallCnn()), ["logits"]],
  ["a network with two heads", encodeModel(twoHeads()), ["scores", "box"]],
] as const)(
  "generateArtifacts trains what the report says, and refuses the rest: %s",
  (_, bytes, outputs) => {
    const { parameters } = trainingCoverage(bytes);
    expect(parameters.length).toBeGreaterThan(2);
    for (const input of outputs) {
      const loss: Loss = { type: "mse", input };
      for (const { name, trainableFrom } of parameters) {
        const build = () => generateArtifacts(bytes, { loss, trainable: name });
        if (trainableFrom.includes(input)) expect(build().manifest.trainable).toEqual([name]);
        else expect(build).toThrow(/cannot be trained|No parameter of the model/);
      }
    }
  },
);

test("running statistics, whole numbers and single numbers are no parameters", () => {
  const { constants } = trainingCoverage(smallCnn());
  expect(constants.map(({ name, reason }) => [name, reason])).toEqual(
    ["first", "second"].flatMap((layer) =>
      ["mean", "var"].map((what) => [
        `${layer}.bn.running_${what}`,
        "running statistics of batch normalisation",
      ]),
    ),
  );
});

/** A file with an input x of float[n, 3], an output y of the same type, and an operator that nobody knows. */
function withMystery(parts: FileParts): Uint8Array {
  return fileOf({
    opsets: { "": 17, "some.domain": 1 },
    input: [info("x", ["n", 3])],
    output: [info("y", ["n", 3])],
    ...parts,
  });
}

test("a node behind a value of unknown type is a consequence: only the node that makes the value is named", () => {
  const { obstacles, parameters } = trainingCoverage(
    withMystery({
      initializer: ["before", "after"].map(square),
      node: [
        nodeOf("MatMul", ["x", "before"], ["b"]),
        nodeOf("Mystery", ["b"], ["m"], [], "some.domain"),
        nodeOf("MatMul", ["m", "after"], ["y"]),
      ],
    }),
  );
  expect(obstacles).toMatchObject([{ node: "m_node", outputs: ["y"], parameters: ["before", "after"] }]);
  expect(parameters.map(({ reason }) => reason)).toEqual([obstacles[0]?.reason, obstacles[0]?.reason]);
});

test("a node that is kept with numbers in its attributes is named, also where no parameter is before it", () => {
  const obstaclesOf = (coefficients: readonly number[]) =>
    trainingCoverage(
      withMystery({
        valueInfo: [info("m", ["n", 3])],
        initializer: [square("after")],
        node: [
          nodeOf("Mystery", ["x"], ["m"], [floats("coefficients", coefficients)], "some.domain"),
          nodeOf("MatMul", ["m", "after"], ["y"]),
        ],
      }),
    ).obstacles;
  expect(obstaclesOf([1, 2])).toMatchObject([{ node: "m_node", outputs: ["y"], parameters: [] }]);
  expect(obstaclesOf([])).toEqual([]);
});

test("a node that is kept and reads a matrix is named where nothing else can be trained, by build-graph too", () => {
  const file = fileOf({
    opsets: { "": 17, "some.domain": 1 },
    input: [info("x", ["n", 3])],
    output: [info("y", ["n", 3])],
    initializer: [square("w")],
    node: [nodeOf("Mystery", ["x", "w"], ["y"], [], "some.domain")],
  });
  const { obstacles } = trainingCoverage(file);
  expect(obstacles).toMatchObject([{ node: "y_node", outputs: ["y"], parameters: [] }]);
  expect(() => generateArtifacts(file, { loss: "mse" })).toThrow(
    /^The model has no parameter: .*, and .*Mystery at y_node.*\.$/,
  );
});

test("running statistics that are read through Identity are no parameters", () => {
  const vector = (name: string, value: number) =>
    initializer(name, new Tensor("float", [3], Float32Array.of(value, value, value)));
  const { parameters, constants } = trainingCoverage(
    fileOf({
      input: [info("x", ["n", 3, 4, 4])],
      output: [info("y", ["n", 3, 4, 4])],
      initializer: [vector("scale", 1), vector("bias", 2), vector("mean", 3), vector("var", 4)],
      node: [
        nodeOf("Identity", ["mean"], ["same_mean"]),
        nodeOf("Identity", ["var"], ["same_var"]),
        nodeOf("BatchNormalization", ["x", "scale", "bias", "same_mean", "same_var"], ["y"]),
      ],
    }),
  );
  expect(parameters.map(({ name }) => name)).toEqual(["scale", "bias"]);
  const reason = "running statistics of batch normalisation";
  expect(constants).toMatchObject([
    { name: "mean", reason },
    { name: "var", reason },
  ]);
});

test("a constant that no layer reads can be trained by its name where a gradient reaches it", () => {
  const { constants } = trainingCoverage(
    withMystery({
      valueInfo: [info("m", ["n", 3])],
      initializer: ["near", "far"].map((name) => initializer(name, normal(name, [3]))),
      node: [
        nodeOf("Mul", ["x", "far"], ["f"]),
        nodeOf("Mystery", ["f"], ["m"], [], "some.domain"),
        nodeOf("Mul", ["m", "near"], ["y"]),
      ],
    }),
  );
  const unread = "no layer reads them as a weight, bias or scale";
  expect(constants.map(({ name, reason }) => [name, reason])).toEqual([
    ["far", `${unread}, and no gradient reaches them`],
    ["near", `${unread}; each can be trained by its full name`],
  ]);
});

test("an output that no loss can read names the value that it is made of", () => {
  const file = fileOf({
    opsets: { "": 17, "ai.onnx.ml": 1 },
    input: [info("x", ["n", 3])],
    output: [{ name: "maps" }],
    initializer: [square("w")],
    node: [
      nodeOf("MatMul", ["x", "w"], ["scores"]),
      nodeOf("Softmax", ["scores"], ["shares"]),
      nodeOf("ZipMap", ["shares"], ["maps"], [], "ai.onnx.ml"),
    ],
  });
  const [output] = trainingCoverage(file).outputs;
  expect(output?.reason).toBe(
    "operator ai.onnx.ml.ZipMap at maps_node is not supported; a loss can read what it is made of, shares",
  );
});
