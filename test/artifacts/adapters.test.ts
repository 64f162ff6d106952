import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import {
  adaptersOf,
  applyAdapters,
  decodeCheckpoint,
  encodeCheckpoint,
  generateArtifacts,
} from "../../artifacts/index.ts";
import {
  createBuilder,
  createModel,
  decodeModel,
  encodeModel,
  Graph,
  type Model,
  RandomStream,
} from "../../graph-builder/index.ts";
import { TrainingSession } from "../../runtime/index.ts";
import { openDevice } from "../../runtime/node/index.ts";
import { halfMlp, mlp, smallCnn, twoHeads, weight } from "../support/artifact-models.ts";

const device = await openDevice("cpu", { threads: 1 });
const random = (dims: readonly number[]) => {
  const data = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
  new RandomStream(9, "feeds").fillNormal(data);
  return new Tensor("float32", data, dims);
};
const numbers = (tensor: { readonly data: ArrayLike<unknown> } | undefined) =>
  Array.from(tensor?.data ?? [], Number);
const constantsOf = (bytes: Uint8Array) =>
  new Map(decodeModel(bytes).graph.initializers.map(({ name, constant }) => [name, constant?.numbers()]));

interface Case {
  readonly model: () => Model;
  readonly weights: readonly string[];
  readonly input: string;
  readonly output: string;
  readonly dims: readonly number[];
  readonly target: readonly number[];
}

/** What PyTorch's exporters write for two Linears over several axes: MatMuls of transposed weights. */
function linears(): Model {
  const g = createBuilder(new Graph("linears"));
  const transposed = (name: string, dims: readonly number[]) =>
    g.Transpose(g.Identity(weight(g, name, dims)), { perm: [1, 0] });
  const hidden = g.Tanh(g.MatMul(g.input("x", "float", ["batch", 3]), transposed("first.weight", [4, 3])));
  g.output(g.MatMul(hidden, transposed("second.weight", [2, 4])), "y");
  return createModel(g.graph, {});
}

/** Five rows of 3 numbers, and of 2. */
const rows = { input: "x", output: "y", dims: [5, 3], target: [5, 2] };

const cases: Readonly<Record<string, Case>> = {
  "MatMul of a transposed weight": {
    model: linears,
    weights: ["first.weight", "second.weight"],
    ...rows,
  },
  "Gemm with transB": {
    model: mlp,
    weights: ["hidden.weight", "out.weight"],
    ...rows,
  },
  Conv: {
    model: smallCnn,
    weights: ["first.conv.weight", "second.conv.weight", "fc.weight"],
    input: "images",
    output: "logits",
    dims: [5, 2, 6, 6],
    target: [5, 3],
  },
  "MatMul and Gemm": {
    model: twoHeads,
    weights: ["trunk.weight", "box.weight"],
    input: "x",
    output: "box",
    dims: [5, 3],
    target: [5, 4],
  },
};

describe.each(Object.entries(cases))(
  "adapters of %s",
  (_, { model, weights, input, output, dims, target }) => {
    const file = encodeModel(model());
    const options = {
      loss: "mse",
      lossInput: output,
      learningRate: 0.05,
      lora: { rank: 2, alpha: 4 },
    } as const;
    const artifacts = generateArtifacts(file, options);
    const feeds = { [input]: random(dims), target: random(target) };
    const train = async (steps: number) => {
      const session = await TrainingSession.create(artifacts, device);
      for (let step = 0; step < steps; step++) {
        session.lazyResetGrad();
        await session.runTrainStep(feeds);
        await session.runOptimizerStep();
      }
      return session;
    };

    test("are all that is trained, and change nothing at first", async () => {
      const names = artifacts.manifest.trainable;
      expect([...names].sort()).toEqual(
        weights.flatMap((name) => [`${name}.lora_A`, `${name}.lora_B`]).sort(),
      );
      const { trainable, frozen } = decodeCheckpoint(artifacts.checkpoint);
      for (const name of weights) {
        expect(frozen.has(name)).toBe(true);
        expect(numbers(trainable.get(`${name}.lora_B`)).every((value) => value === 0)).toBe(true);
        expect(numbers(trainable.get(`${name}.lora_A`)).every((value) => value !== 0)).toBe(true);
      }
      const session = await train(0);
      const merged = constantsOf(await session.exportModel());
      const base = constantsOf(file);
      for (const name of weights) expect(merged.get(name)).toEqual(base.get(name));
      await session.release();
    });

    test("are merged into the file, whose outputs are those of the adapted graph to 1e-6", async () => {
      const session = await train(5);
      const base = constantsOf(file);
      const { frozen } = await session.checkpoint();
      for (const name of weights) expect(frozen.get(name)?.numbers()).toEqual(base.get(name));
      const bytes = await session.exportModel();
      expect(constantsOf(bytes).get(weights[0])).not.toEqual(base.get(weights[0]));
      expect([...constantsOf(bytes).keys()]).toEqual([...base.keys()]);
      const inference = await InferenceSession.create(bytes);
      const merged = numbers((await inference.run({ [input]: feeds[input] as Tensor }))[output]);
      const adapted = numbers((await session.runEvalStep(feeds))[output]);
      expect(
        Math.max(...merged.map((value, i) => Math.abs(value - (adapted[i] ?? Number.NaN)))),
      ).toBeLessThan(1e-6);
      await session.release();
    });

    test("are a file of changes of their own, which is applied to the base model", async () => {
      const session = await train(5);
      const changes = encodeCheckpoint(adaptersOf(await session.checkpoint()));
      expect([...decodeCheckpoint(changes).trainable.keys()].sort()).toEqual(
        [...artifacts.manifest.trainable].sort(),
      );
      const applied = constantsOf(applyAdapters(file, decodeCheckpoint(changes)));
      const exported = constantsOf(await session.exportModel());
      for (const name of weights) expect(applied.get(name)).toEqual(exported.get(name));
      await session.release();
    });
  },
);

test("a transposed weight of PyTorch's layout has an A of [rank, inputs] and a B of [outputs, rank]", () => {
  const { checkpoint } = generateArtifacts(linears(), { loss: "mse", lora: { rank: 2 } });
  const { trainable } = decodeCheckpoint(checkpoint);
  expect(trainable.get("first.weight.lora_A")?.dims).toEqual([2, 3]);
  expect(trainable.get("first.weight.lora_B")?.dims).toEqual([4, 2]);
  expect(numbers(trainable.get("first.weight.lora_B")).every((value) => value === 0)).toBe(true);
});

test("adapters of float16 weights are floats, and are merged in float into the float16 file", async () => {
  const file = encodeModel(halfMlp("float16"));
  const artifacts = generateArtifacts(file, { loss: "mse", learningRate: 0.05, lora: { rank: 2 } });
  const session = await TrainingSession.create(artifacts, device);
  const halves = new Tensor(
    "float16",
    Uint16Array.from({ length: 15 }, (_, i) => 0x3800 + 20 * i),
    [5, 3],
  );
  const feeds = { x: halves, target: random([5, 2]) };
  for (let step = 0; step < 5; step++) {
    session.lazyResetGrad();
    await session.runTrainStep(feeds);
    await session.runOptimizerStep();
  }
  const exported = constantsOf(await session.exportModel());
  const applied = constantsOf(applyAdapters(file, adaptersOf(await session.checkpoint())));
  expect(exported.get("hidden.weight")).not.toEqual(constantsOf(file).get("hidden.weight"));
  for (const [name, values] of exported) expect(applied.get(name)).toEqual(values);
  await session.release();
});

test("targets choose weights, and trainable names what is trained beside them", () => {
  const lora = { rank: 1, targets: "*.conv.weight" };
  const { manifest } = generateArtifacts(smallCnn(), { loss: "cross-entropy", lora, trainable: "fc.*" });
  expect([...manifest.trainable].sort()).toEqual(
    ["first", "second"]
      .flatMap((name) => [`${name}.conv.weight.lora_A`, `${name}.conv.weight.lora_B`])
      .concat("fc.weight", "fc.bias")
      .sort(),
  );
});

test("a rank that is none, targets that match nothing, and changes of another model are refused", () => {
  const make = (lora: { rank: number; targets?: string }) => () =>
    generateArtifacts(mlp(), { loss: "mse", lora });
  expect(make({ rank: 0 })).toThrow("The rank of lora must be a whole number from 1, not 0.");
  expect(make({ rank: 2, targets: "attention.*" })).toThrow(
    "No weight of a MatMul, Gemm or Conv matches attention.*.",
  );
  const plain = decodeCheckpoint(generateArtifacts(mlp(), { loss: "mse" }).checkpoint);
  expect(() => adaptersOf(plain)).toThrow("The checkpoint has no adapters");
  const changes = adaptersOf(decodeCheckpoint(make({ rank: 2 })().checkpoint));
  expect(() => applyAdapters(encodeModel(smallCnn()), changes)).toThrow(
    "The model has no weight hidden.weight",
  );
});

test("what is trained itself has no adapter, and a target that is trained itself is refused", () => {
  const file = encodeModel(mlp());
  const trainedOf = (options: object) =>
    generateArtifacts(file, { loss: "mse", ...options }).manifest.trainable;
  expect(trainedOf({ lora: { rank: 2 }, trainable: "out.*" })).toEqual([
    ...["hidden.weight.lora_B", "hidden.weight.lora_A", "out.weight", "out.bias"],
  ]);
  expect(() => trainedOf({ lora: { rank: 2, targets: "*.weight" }, trainable: "out.weight" })).toThrow(
    "out.weight is trained itself, so it has no adapter: leave it out of trainable, or out of the targets of lora.",
  );
  expect(() => trainedOf({ lora: { rank: 2 }, trainable: "all" })).toThrow(
    "No weight of a MatMul, Gemm or Conv is left for adapters.",
  );
});

test("a new last layer is trained whole beside the adapters of the others, and both are exported", async () => {
  const file = encodeModel(smallCnn());
  const artifacts = generateArtifacts(file, {
    loss: "cross-entropy",
    learningRate: 0.05,
    classes: 5,
    lora: { rank: 2 },
    seed: 6,
  });
  const { trainable, newHead } = artifacts.manifest;
  expect(newHead).toEqual({ classes: 5, tensors: ["fc.weight", "fc.bias"] });
  expect([...trainable].sort()).toEqual([
    ...["fc.bias", "fc.weight", "first.conv.weight.lora_A", "first.conv.weight.lora_B"],
    ...["second.conv.weight.lora_A", "second.conv.weight.lora_B"],
  ]);
  const session = await TrainingSession.create(artifacts, device);
  const feeds = {
    images: random([5, 2, 6, 6]),
    labels: new Tensor("int64", BigInt64Array.from([0n, 1n, 2n, 3n, 4n]), [5]),
  };
  const losses: number[] = [];
  for (let step = 0; step < 20; step++) {
    session.lazyResetGrad();
    losses.push(Number((await session.runTrainStep(feeds))["loss"]?.data[0]));
    await session.runOptimizerStep();
  }
  expect(losses.at(-1)).toBeLessThan(0.7 * Number(losses[0]));
  const evaluation = await session.runEvalStep(feeds);
  const exported = await session.exportModel();
  const [before, after] = [constantsOf(file), constantsOf(exported)];
  expect(after.get("first.conv.weight")).not.toEqual(before.get("first.conv.weight"));
  expect([...after.keys()].some((name) => name?.includes("lora"))).toBe(false);
  const model = await InferenceSession.create(exported);
  const { logits } = await model.run({ images: feeds.images });
  expect(logits?.dims).toEqual([5, 5]);
  for (const [i, value] of numbers(logits).entries())
    expect(value).toBeCloseTo(numbers(evaluation["logits"])[i] ?? Number.NaN, 4);
  await model.release();
  await session.release();
});
