// holds what `shake inspect MODEL --training` says of a model against what training it does:
// check-coverage.js MODEL RUN
// RUN is JSON: `feeds` has tensors as in ../tensors.js, `hasOracle` says that another program computes gradients.
// Prints JSON: the figures of the report, `wrong`, a sentence for each claim that is not true, and `steps`, what an
// oracle needs: by the output, the target and the gradients.

import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { decodeCheckpoint, generateArtifacts } from "../../../dist/artifacts/index.js";
import { RandomStream } from "../../../dist/graph-builder/index.js";
import { TrainingSession } from "../../../dist/runtime/index.js";
import { openDevice } from "../../../dist/runtime/node/index.js";
import { decodeTensors, encodeTensors } from "../tensors.js";

const DIRECTIONS = 4;
/** How much of the loss a move along a direction changes, in the attempts of a difference. */
const CHANGES = [3e-3, 3e-2, 3e-4];
const TOLERANCE = 2e-2;
/** At how many points of a segment the gradient is taken. */
const POINTS = 64;
/** How many parameters, and how many other constants, of those that a clause is about are tried. */
const SAMPLE = 4;

const [modelPath, runPath] = process.argv.slice(2);
const bytes = await readFile(modelPath);
const run = JSON.parse(await readFile(runPath, "utf8"));
const device = await openDevice("cpu");
const { ort } = device;
const feeds = decodeTensors(ort, run.feeds);
const random = new RandomStream(1, "coverage");
const wrong = [];
const steps = {};

const main = fileURLToPath(new URL("../../../dist/cli/main.js", import.meta.url));
const report = JSON.parse(
  execFileSync(process.execPath, [main, "inspect", modelPath, "--training", "--json"], {
    maxBuffer: 1 << 28,
  }),
);
const trainable = report.parameters.filter((parameter) => parameter.trainable);

const computed = await outputsOfModel();
const differences = [];
for (const { name, reason } of report.outputs) {
  const names = trainable.filter((each) => each.trainable_from.includes(name)).map((each) => each.name);
  if (reason === undefined && names.length > 0) differences.push(await checkTrainable(name, names));
}
for (const obstacle of report.obstacles) checkObstacle(obstacle);
for (const parameter of report.parameters.filter((each) => !each.trainable)) checkUntrainable(parameter);
checkConstants();

const values = (parameters) => parameters.reduce((sum, each) => sum + each.values, 0);
process.stdout.write(
  JSON.stringify({
    parameters: report.parameters.length,
    values: values(report.parameters),
    trainable: trainable.length,
    trainable_values: values(trainable),
    names: trainable.map(({ name }) => name),
    outputs: report.outputs,
    obstacles: report.obstacles,
    difference: Math.max(0, ...differences),
    wrong,
    steps,
  }),
);

/** The outputs of the model itself, whose shapes the targets have. */
async function outputsOfModel() {
  const session = await ort.InferenceSession.create(bytes);
  const given = session.inputNames.map((name) => [name, feeds[name]]);
  const outputs = await session.run(Object.fromEntries(given));
  await session.release();
  return outputs;
}

/** Checks that a loss on an output trains parameters: its gradients, and what a step changes. */
async function checkTrainable(output, names) {
  const options = {
    loss: { type: "mse", input: output, target: "coverage_target" },
    trainable: ({ name }) => names.includes(name),
  };
  const built = attempt(() => generateArtifacts(bytes, { ...options, target: "standard" }));
  if (built.message !== undefined) {
    wrong.push(
      `a loss on ${output} is said to train ${names.length} parameters, and is refused: ${built.message}`,
    );
    return 0;
  }
  const { dims, data } = computed[output];
  // as large as the output, so that the loss of small probabilities moves with them
  const size = norm(data) / Math.sqrt(data.length) || 1;
  const target = Float32Array.from(data, (value, i) => Number(value) + size * normal(i));
  const given = { ...feeds, coverage_target: new ort.Tensor("float32", target, dims) };
  const { difference, loss } = await checkGradients(built.result, given, names, output);
  await checkStep(generateArtifacts(bytes, { ...options, optimizer: "adamw" }), given, names, loss);
  return difference;
}

async function checkGradients({ trainingModel, checkpoint, manifest }, given, names, output) {
  const missing = names.filter((name) => !manifest.trainable.includes(name));
  if (missing.length > 0)
    wrong.push(`${missing.join(", ")}: said to be trainable from ${output}, and not trained`);
  const state = decodeCheckpoint(checkpoint);
  const session = await ort.InferenceSession.create(trainingModel, { intraOpNumThreads: 1 });
  const tensors = [...state.trainable, ...state.frozen].map(([name, { data, dims }]) => [
    name,
    new ort.Tensor("float32", data, dims),
  ]);
  const zero = BigInt64Array.of(0n);
  const all = {
    ...Object.fromEntries(tensors),
    ...Object.fromEntries(
      (manifest.randomInputs ?? []).map((name) => [name, new ort.Tensor("int64", zero, [1])]),
    ),
    ...given,
  };
  const read = Object.fromEntries(session.inputNames.map((name) => [name, all[name]]));
  const outputs = await session.run(read);
  const gradients = new Map(manifest.trainable.map((name) => [name, outputs[`${name}_grad`].data]));
  const [loss] = outputs.loss.data;
  if (run.hasOracle) {
    const found = manifest.trainable.map((name) => [name, outputs[`${name}_grad`]]);
    const { target } = encodeTensors({ target: given.coverage_target });
    steps[output] = { target, gradients: encodeTensors(Object.fromEntries(found)) };
  }
  let difference = 0;
  for (let i = 0; i < (run.hasOracle ? 0 : DIRECTIONS); i++) {
    const along = direction(gradients, read, i);
    difference = Math.max(difference, await differenceAlong({ along, gradients, read, session, loss }));
  }
  await session.release();
  if (!(difference < TOLERANCE)) {
    wrong.push(
      `the gradient of a loss on ${output} is off by ${difference.toExponential(1)} of a numeric difference`,
    );
  }
  return { difference, loss };
}

/**
 * A random direction of all parameters. Half of it lies around the gradient, so that the loss changes by more
 * than a float's rounding; the other half is anywhere.
 */
function direction(gradients, read, seed) {
  let place = seed * 1e8;
  const around = new Map();
  for (const [name, gradient] of gradients) {
    const weight = read[name].data;
    const size = norm(weight) || Math.sqrt(weight.length);
    const slope = norm(gradient) || 1;
    around.set(
      name,
      Float64Array.from(gradient, (g) => {
        place += 2;
        return size * ((g / slope) * (1 + normal(place)) + normal(place + 1) / Math.sqrt(weight.length));
      }),
    );
  }
  return around;
}

/**
 * The smallest relative difference between the slope by the gradients and by central differences. Where a ReLU
 * bends within every one of them, the slope is the mean over the segment that the difference spans.
 */
async function differenceAlong({ along, gradients, read, session, loss }) {
  const slope = slopeAlong(along, (name) => gradients.get(name));
  const lossAt = async (factor) => (await session.run(moved(read, along, factor), ["loss"])).loss.data[0];
  let best = Number.POSITIVE_INFINITY;
  for (const change of CHANGES) {
    const step = (change * loss) / Math.abs(slope);
    const numeric = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
    best = Math.min(best, relative(numeric, slope));
    if (best < TOLERANCE / 4) return best;
  }
  if (best < TOLERANCE) return best;
  const step = (CHANGES[0] * loss) / Math.abs(slope);
  let sum = 0;
  for (let i = 0; i < POINTS; i++) {
    const outputs = await session.run(moved(read, along, step * ((2 * i + 1) / POINTS - 1)));
    sum += slopeAlong(along, (name) => outputs[`${name}_grad`].data);
  }
  return relative(((await lossAt(step)) - (await lossAt(-step))) / (2 * step), sum / POINTS);
}

/** The feeds with every parameter `factor` further along a direction. */
function moved(read, along, factor) {
  const parameters = [...along].map(([name, moves]) => {
    const { data, dims } = read[name];
    return [
      name,
      new ort.Tensor(
        "float32",
        data.map((value, i) => value + factor * moves[i]),
        dims,
      ),
    ];
  });
  return { ...read, ...Object.fromEntries(parameters) };
}

function slopeAlong(along, gradientOf) {
  let slope = 0;
  for (const [name, moves] of along) slope += dot(gradientOf(name), moves);
  return slope;
}

function relative(a, b) {
  return Math.abs(a - b) / Math.max(Math.abs(a), Math.abs(b), 1e-12);
}

/** Checks that a step of a session has the same loss and moves every parameter. */
async function checkStep(artifacts, given, names, expected) {
  const session = await TrainingSession.create(artifacts, device);
  const before = new Map(await parametersOf(session, names));
  const read = Object.fromEntries(session.trainingInputNames.map((name) => [name, given[name]]));
  const { loss } = await session.runTrainStep(read);
  const off = Math.abs(loss.data[0] - expected) / Math.abs(expected);
  if (!(off < 1e-3))
    wrong.push(`the session's loss is ${loss.data[0]}, and the standard model's ${expected}`);
  await session.runOptimizerStep();
  const still = [];
  for (const [name, { data }] of await parametersOf(session, names)) {
    if (data.some((value) => !Number.isFinite(value))) wrong.push(`${name} is not finite after a step`);
    if (data.every((value, i) => value === before.get(name).data[i])) still.push(name);
  }
  if (still.length === names.length) wrong.push("a step moves no parameter");
  await session.release();
}

function parametersOf(session, names) {
  return Promise.all(
    names.map(async (name) => {
      const { data, dims } = await session.getParameter(name);
      return [name, { data: Float32Array.from(data), dims }];
    }),
  );
}

/** Checks that training a parameter behind an obstacle is refused, by the name of the obstacle's node. */
function checkObstacle({ node, outputs, parameters }) {
  for (const name of parameters.slice(0, SAMPLE)) {
    for (const output of outputs) {
      const { message } = refusal(name, output);
      const named = report.obstacles.some((each) => message?.includes(each.node));
      if (!named)
        wrong.push(
          `${node} is said to keep ${name} from being trained by ${output}: ${message ?? "it does not"}`,
        );
    }
  }
}

/** Checks that a parameter that is said not to be trainable is trained from no output. */
function checkUntrainable({ name, reason }) {
  for (const output of report.outputs.filter((each) => each.reason === undefined)) {
    const { message } = refusal(name, output.name);
    if (message === undefined)
      wrong.push(`${name} is said not to be trainable (${reason}), and trains from ${output.name}`);
  }
}

/** Checks that other constants are trained by their full names where the report says so. */
function checkConstants() {
  const named = report.constants.filter(({ reason }) => reason.includes("by its full name"));
  for (const { name } of named.slice(0, SAMPLE)) {
    const outcomes = report.outputs
      .filter(({ reason }) => reason === undefined)
      .map((output) => refusal(name, output.name));
    if (outcomes.length > 0 && outcomes.every(({ message }) => message !== undefined)) {
      wrong.push(`${name} is said to be trainable by its full name, and is refused: ${outcomes[0].message}`);
    }
  }
}

function refusal(trained, input) {
  return attempt(() => generateArtifacts(bytes, { loss: { type: "mse", input }, trainable: [trained] }));
}

function attempt(build) {
  try {
    return { result: build() };
  } catch (error) {
    if (error.code === undefined) throw error;
    return { message: error.message };
  }
}

function normal(i) {
  return (
    Math.sqrt(-2 * Math.log(1 - random.uniform(2 * i))) * Math.cos(2 * Math.PI * random.uniform(2 * i + 1))
  );
}

function norm(values) {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

function dot(a, b) {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}
