import { Tensor } from "onnxruntime-common";
import { expect, test } from "vitest";
import { decodeCheckpoint } from "../../../artifacts/index.ts";
import { at, loweringOf, UserError } from "../../../graph-builder/index.ts";
import { RandomStream } from "../../../graph-builder/random.ts";
import { type NamedTensors, TrainingSession } from "../../../runtime/index.ts";
import { openDevice } from "../../../runtime/node/index.ts";
import { buildTrainingArtifacts, optimizers, targets } from "../../../shakenet/index.ts";
import { openTiny, tinySettings } from "../../support/tiny-run.ts";

const images = 6;

function feeds(blocks = 3, from = 0): NamedTensors {
  const random = new RandomStream(5, "feeds");
  const pixels = Uint8Array.from({ length: images * 3072 }, (_, i) => random.integer(from + i, 256));
  const coefficients = (stream: string) => {
    const data = new Float32Array(blocks * images);
    new RandomStream(5, stream).fillUniform(data);
    return new Tensor("float32", data, [blocks, images]);
  };
  return {
    images: new Tensor("uint8", pixels, [images, 3, 32, 32]),
    labels: new Tensor(
      "int64",
      BigInt64Array.from({ length: images }, (_, i) => BigInt(i)),
      [images],
    ),
    alpha: coefficients("alpha"),
    beta: coefficients("beta"),
  };
}

const numbers = (tensor: Tensor | undefined) => Array.from(tensor?.data as Float32Array);

test("a session names its own inputs and outputs and keeps its state to itself", async () => {
  const { session } = await openTiny(buildTrainingArtifacts(tinySettings()));
  expect(session.trainingInputNames).toEqual(["images", "labels", "alpha", "beta"]);
  expect(session.trainingOutputNames).toEqual(["loss", "correct"]);
  expect(session.evalInputNames).toEqual(["images", "labels"]);
  expect(session.evalOutputNames).toEqual(["loss", "correct", "logits"]);
  await session.release();
});

test.each(targets.flatMap((target) => optimizers.map((optimizer) => ({ target, optimizer }))))(
  "$optimizer over the $target target learns a batch by heart",
  async ({ target, optimizer }) => {
    const { session } = await openTiny(buildTrainingArtifacts(tinySettings({ width: 4, target, optimizer })));
    session.learningRate = { "sgd-nesterov": 0.1, "sgd-momentum": 0.1, sgd: 0.5, adamw: 0.02, muon: 0.1 }[
      optimizer
    ];
    const losses: number[] = [];
    for (let step = 0; step < 12; step++) {
      session.lazyResetGrad();
      const { loss } = await session.runTrainStep(feeds());
      losses.push(Number(loss?.data[0]));
      await session.runOptimizerStep();
    }
    expect(losses.at(-1)).toBeLessThan(0.6 * (losses[0] ?? 0));
    expect((await session.checkpoint()).optimizer?.step).toBe(12);
    await session.release();
  },
);

test("both targets and both lowerings take the same steps", async () => {
  const weights = async (target: "ort-training" | "standard", lowering: "cpu" | "portable") => {
    const artifacts = buildTrainingArtifacts(tinySettings({ target }));
    const cpu = await openDevice("cpu", { threads: 1 });
    const device = lowering === "cpu" ? cpu : { ...cpu, lowering: loweringOf("portable") };
    const session = await TrainingSession.create(artifacts, device);
    session.learningRate = 0.05;
    for (let step = 0; step < 3; step++) {
      session.lazyResetGrad();
      await session.runTrainStep(feeds(3, step));
      await session.runOptimizerStep();
    }
    const { trainable, frozen } = await session.checkpoint();
    const copy = [...trainable, ...frozen].flatMap(([, { data }]) => Array.from(data as Float32Array));
    await session.release();
    return copy;
  };
  const reference = await weights("ort-training", "portable");
  for (const other of [await weights("standard", "portable"), await weights("ort-training", "cpu")]) {
    const worst = Math.max(...other.map((value, i) => Math.abs(value - (reference[i] ?? 0))));
    expect(worst).toBeLessThan(2e-4);
  }
});

test.each(targets.flatMap((target) => optimizers.map((optimizer) => ({ target, optimizer }))))(
  "a fused training model takes the steps of $optimizer over the $target target and needs no optimizer model",
  async ({ target, optimizer }) => {
    const weights = async (fused: boolean) => {
      const artifacts = buildTrainingArtifacts(tinySettings({ target, optimizer, fused }));
      expect(artifacts.optimizerModel === undefined).toBe(fused);
      const { session } = await openTiny(artifacts);
      expect(session.trainingInputNames).toEqual(["images", "labels", "alpha", "beta"]);
      expect(session.trainingOutputNames).toEqual(["loss", "correct"]);
      session.learningRate = 0.05;
      for (let step = 0; step < 3; step++) {
        session.lazyResetGrad();
        await session.runTrainStep(feeds(3, step));
        await session.runOptimizerStep();
      }
      const { trainable, frozen, optimizer: state } = await session.checkpoint();
      expect(state?.step).toBe(3);
      await session.release();
      return new Map([...trainable, ...frozen]);
    };
    const [apart, fused] = [await weights(false), await weights(true)];
    for (const [name, { data }] of apart) {
      const twin = fused.get(name)?.data as Float32Array;
      const worst = Math.max(...Array.from(data as Float32Array, (x, i) => Math.abs(x - (twin[i] ?? 0))));
      expect(worst, name).toBeLessThan(1e-6);
    }
    const moments = { "sgd-nesterov": 1, "sgd-momentum": 1, sgd: 0, adamw: 2, muon: 1 }[optimizer];
    const trained = fused.size - apart.size;
    expect(trained).toBe(moments * [...apart.keys()].filter((name) => !name.includes("running")).length);
  },
);

test.each([false, true])(
  "a warm-up (fused %s) leaves parameters, statistics, gradients and moments as they are, bit for bit",
  async (fused) => {
    const trained = async (warm: boolean) => {
      const { session } = await openTiny(buildTrainingArtifacts(tinySettings({ fused })));
      const warmUp = async () => (warm ? session.warmUp(feeds(3, 100)) : undefined);
      session.learningRate = 0.05;
      const losses: Tensor["data"][] = [];
      await warmUp();
      for (const from of [0, 1]) {
        // the second step adds its gradients to those of the first
        const { loss } = await session.runTrainStep(feeds(3, from));
        losses.push(loss?.data ?? []);
        await warmUp();
        if (!fused) losses.push((await session.getGradient("stem.conv.weight")).data);
        await session.runOptimizerStep();
        await warmUp();
      }
      const checkpoint = await session.saveCheckpoint();
      await session.release();
      return { losses, checkpoint };
    };
    expect(await trained(true)).toEqual(await trained(false));
  },
);

test("a warm-up makes no gradients for an optimizer step, and refuses feeds that a step refuses", async () => {
  const { session } = await openTiny(buildTrainingArtifacts(tinySettings()));
  await session.warmUp(feeds());
  await expect(session.runOptimizerStep()).rejects.toThrow(UserError);
  await expect(session.warmUp({})).rejects.toThrow("The input images is missing.");
  await session.release();
});

test("gradients add up until they are reset", async () => {
  const { session } = await openTiny(buildTrainingArtifacts(tinySettings({ optimizer: "sgd" })));
  const moved = async (steps: number) => {
    const before = Array.from((await session.checkpoint()).trainable.get("fc.bias")?.data as Float32Array);
    session.lazyResetGrad();
    for (let i = 0; i < steps; i++) await session.runTrainStep(feeds());
    session.learningRate = 1e-3;
    await session.runOptimizerStep();
    const after = Array.from((await session.checkpoint()).trainable.get("fc.bias")?.data as Float32Array);
    return after.map((value, i) => value - (before[i] ?? 0));
  };
  const [once, twice] = [await moved(1), await moved(2)];
  for (const [i, change] of once.entries()) expect(twice[i]).toBeCloseTo(2 * change, 5);
  await session.release();
});

test("running statistics move by a tenth towards the batch's, and evaluation reads them", async () => {
  const { session } = await openTiny(buildTrainingArtifacts(tinySettings()));
  const before = numbers((await session.runEvalStep(feeds())).logits);
  const statistics = async () => {
    await session.runTrainStep(feeds());
    const { frozen } = await session.checkpoint();
    return ["running_mean", "running_var"].map((name) =>
      Array.from(frozen.get(`stem.bn.${name}`)?.data as Float32Array),
    );
  };
  const [mean = [], variance = []] = await statistics();
  const [laterMean = [], laterVariance = []] = await statistics();
  expect(mean.some((value) => value !== 0)).toBe(true);
  // they start at 0 and 1; two tenths of the way, of which the second is of what is left, are 1.9 tenths
  for (const [i, value] of mean.entries()) expect(at(laterMean, i)).toBeCloseTo(1.9 * value, 5);
  for (const [i, value] of variance.entries())
    expect(at(laterVariance, i) - 1).toBeCloseTo(1.9 * (value - 1), 4);
  expect(numbers((await session.runEvalStep(feeds())).logits)).not.toEqual(before);
  await session.release();
});

test("a checkpoint opens into the same state and steps on alike", async () => {
  const artifacts = buildTrainingArtifacts(tinySettings());
  const { encodeCheckpoint } = await import("../../../artifacts/index.ts");
  const step = async (session: TrainingSession) => {
    session.learningRate = 0.1;
    session.lazyResetGrad();
    await session.runTrainStep(feeds());
    await session.runOptimizerStep();
    return encodeCheckpoint(await session.checkpoint());
  };
  const first = await openTiny(artifacts);
  const middle = await step(first.session);
  const second = await openTiny(artifacts, middle);
  expect(await step(second.session)).toEqual(await step(first.session));
  expect(decodeCheckpoint(middle).optimizer?.step).toBe(1);
});

test("a missing input and a model that cannot be lowered are named", async () => {
  const artifacts = buildTrainingArtifacts(tinySettings());
  const { session, device } = await openTiny(artifacts);
  const { images: pixels } = feeds();
  await expect(session.runTrainStep({ images: pixels as Tensor })).rejects.toThrow(/labels is missing/);
  const broken = {
    checkpoint: artifacts.checkpoint,
    trainingModel: artifacts.trainingModel.subarray(0, 5000),
  };
  await expect(TrainingSession.create(broken, device)).rejects.toThrow(UserError);
});

test("devices that this machine lacks say why and how to get them", async () => {
  const { listSupportedBackends } = await import("onnxruntime-node");
  const present = new Set(listSupportedBackends().map(({ name }) => name));
  for (const name of ["coreml", "dml"] as const) {
    if (present.has(name)) continue;
    await expect(openDevice(name)).rejects.toThrow(/is not in this machine's ONNX Runtime: it exists on/);
  }
});

test("the same artifacts train on onnxruntime-web's WebAssembly", async () => {
  const artifacts = buildTrainingArtifacts(tinySettings());
  const device = await openDevice("wasm");
  const { evalModel: _, ...sources } = artifacts;
  const web = await TrainingSession.create(sources, device);
  const { session: node } = await openTiny(artifacts);
  for (const session of [web, node]) {
    session.learningRate = 0.05;
    session.lazyResetGrad();
    await session.runTrainStep(feeds());
    await session.runOptimizerStep();
  }
  const start = decodeCheckpoint(artifacts.checkpoint);
  const checkpoints = [start, await web.checkpoint(), await node.checkpoint()];
  const [before = [], a = [], b = []] = checkpoints.map(({ trainable }) =>
    Array.from(trainable.get("stem.conv.weight")?.data as Float32Array),
  );
  const apart = (values: readonly number[]) =>
    Math.max(...b.map((value, i) => Math.abs(value - at(values, i))));
  // the step moves the weights farther than the two devices are apart
  expect(apart(before)).toBeGreaterThan(1e-4);
  expect(apart(a)).toBeLessThan(1e-4);
});
