import { expect, test } from "vitest";
import { generateArtifacts, type Loss, trainingCoverage } from "../../artifacts/index.ts";
import { encodeModel } from "../../graph-builder/index.ts";
import { normal, smallCnn, twoHeads } from "../support/artifact-models.ts";
import { fileOf, info, initializer, nodeOf } from "../support/file-model.ts";

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
