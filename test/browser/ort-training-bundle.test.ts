import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { at, RandomStream, Tensor } from "../../graph-builder/index.ts";
import { fromOrtTensor, toOrtTensor } from "../../runtime/device/tensors.ts";
import { TrainingSession } from "../../runtime/index.ts";
import { openDevice, readTrainingArtifacts } from "../../runtime/node/index.ts";
import { openBrowser, openPage, type StaticServer, serveFolders } from "../support/browser.ts";
import { shake, temporaryFolder } from "../support/shake.ts";

const STEPS = 10;
const size = 8;
const blocks = 3;

const random = new RandomStream(5, "batch");
const uniform = (length: number, from: number) =>
  Float32Array.from({ length }, (_, i) => random.uniform(from + i));
const images = Uint8Array.from(uniform(size * 3 * 32 * 32, 0), (value) => 256 * value);
const labels = Array.from({ length: size }, (_, i) => i);
const alpha = uniform(blocks * size, 100_000);
const beta = uniform(blocks * size, 200_000);

/** The result of ten steps on one batch, in the page or in our session. */
interface Training {
  readonly losses: readonly number[];
  /** loss, correct and the logits */
  readonly evaluation: readonly number[];
  /** trainable and frozen ones, in the order of the training model's inputs */
  readonly parameters: readonly number[];
}

const folder = temporaryFolder();
let browser: Browser;
let server: StaticServer;

beforeAll(async () => {
  const bundle = join(fileURLToPath(import.meta.resolve("onnxruntime-web-training")), "..");
  [browser, server] = await Promise.all([
    openBrowser(),
    serveFolders({ "/": import.meta.dirname, "/bundle/": bundle, "/artifacts/": folder }),
  ]);
});

afterAll(() => Promise.all([browser?.close(), server?.close()]));

async function trainInPage(name: string, learningRate: number, fused: boolean): Promise<Training> {
  const { page, errors } = await openPage(browser, `${server.origin}/ort-training-bundle.html`);
  const batch = { images: [...images], labels, alpha: [...alpha], beta: [...beta], blocks, learningRate };
  const training: Training = await page.evaluate(
    `train("/artifacts/${name}", ${JSON.stringify(batch)}, ${STEPS}, ${fused})`,
  );
  expect(errors).toEqual([]);
  return training;
}

async function openOurs(name: string, learningRate: number) {
  const device = await openDevice("cpu", { threads: 1 });
  const session = await TrainingSession.create(await readTrainingArtifacts(join(folder, name)), device);
  session.learningRate = learningRate;
  const tensors = {
    images: new Tensor("uint8", [size, 3, 32, 32], images),
    labels: new Tensor("int64", [size], BigInt64Array.from(labels, BigInt)),
    alpha: new Tensor("float", [blocks, size], alpha),
    beta: new Tensor("float", [blocks, size], beta),
  };
  const feeds = Object.fromEntries(
    Object.entries(tensors).map(([key, tensor]) => [key, toOrtTensor(tensor, device.ort)]),
  );
  return { session, feeds };
}

type Ours = Awaited<ReturnType<typeof openOurs>>;

async function trainOurs({ session, feeds }: Ours): Promise<Training> {
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const { loss } = await session.runTrainStep(feeds);
    losses.push(Number(loss?.data[0]));
    await session.runOptimizerStep();
    session.lazyResetGrad();
  }
  const results = await session.runEvalStep(feeds, ["loss", "correct", "logits"]);
  const evaluation = Object.values(results).flatMap((result) => fromOrtTensor(result).numbers());
  return { losses, evaluation, parameters: await allParameters(session) };
}

async function allParameters(session: Ours["session"]): Promise<number[]> {
  return fromOrtTensor(await session.getContiguousParameters(false)).numbers();
}

/** For each parameter the distance between theirs and ours, divided by how far ours moved. */
async function differences(
  session: Ours["session"],
  before: readonly number[],
  ours: Training,
  theirs: Training,
): Promise<[string, number][]> {
  expect(theirs.parameters).toHaveLength(ours.parameters.length);
  let offset = 0;
  const found: [string, number][] = [];
  for (const name of session.parameterNames(false)) {
    const [from, to] = [offset, offset + (await session.getParameter(name)).size];
    offset = to;
    const moved = distance(ours.parameters.slice(from, to), before.slice(from, to));
    const apart = distance(ours.parameters.slice(from, to), theirs.parameters.slice(from, to));
    found.push([name, apart / moved]);
  }
  return found;
}

function expectClose(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) {
    expect(Math.abs((actual[i] ?? Number.NaN) - value), `${i}: ${actual[i]}, not ${value}`).toBeLessThan(
      tolerance,
    );
  }
}

function distance(a: readonly number[], b: readonly number[]): number {
  return Math.hypot(...a.map((value, i) => value - (b[i] ?? Number.NaN)));
}

test.each([
  { optimizer: "sgd", learningRate: 0.001 },
  { optimizer: "adamw", learningRate: 0.001 },
  { optimizer: "sgd-nesterov", learningRate: 0.01, fused: true },
])("ONNX Runtime's own training bundle and our session give the same results: %o", async (row) => {
  const { optimizer, learningRate, fused = false } = row;
  const flags = ["--depth", "8", "--width", "4", "--optimizer", optimizer, ...(fused ? ["--fused"] : [])];
  expect(await shake(folder, "build-graph", ...flags, "--out", optimizer)).toMatchObject({ code: 0 });
  const open = await openOurs(optimizer, learningRate);
  const before = await allParameters(open.session);
  const ours = await trainOurs(open);
  const theirs = await trainInPage(optimizer, learningRate, fused);
  expectClose(theirs.losses, ours.losses, 1e-4);
  expect(theirs.losses.at(-1)).toBeLessThan(at(theirs.losses, 0));
  expectClose(theirs.evaluation, ours.evaluation, 1e-3);
  for (const [name, difference] of await differences(open.session, before, ours, theirs)) {
    expect(difference, name).toBeLessThan(0.01);
  }
});
