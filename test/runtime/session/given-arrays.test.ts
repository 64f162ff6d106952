import { type InferenceSession, Tensor } from "onnxruntime-common";
import { describe, expect, test } from "vitest";
import { generateArtifacts } from "../../../artifacts/index.ts";
import type { Device } from "../../../runtime/device/device.ts";
import { TrainingSession } from "../../../runtime/index.ts";
import { openDevice } from "../../../runtime/node/index.ts";
import { mlp } from "../../support/artifact-models.ts";

const device = await openDevice("cpu", { threads: 1 });
const copying = { ...device, copiesOutputs: false };

type Run = InferenceSession["run"];

/** A device whose sessions run by `run`, which gets the session's own. */
function running(run: (own: Run) => unknown): Device {
  const { ort } = device;
  const create = async (model: Uint8Array, options?: InferenceSession.SessionOptions) => {
    const session = await ort.InferenceSession.create(model, options);
    return Object.assign(session, { run: run(session.run.bind(session)) });
  };
  return { ...device, ort: { ...ort, InferenceSession: { create } as typeof ort.InferenceSession } };
}

function feeds(step: number, batch = 4 + step) {
  const numbers = (count: number, from: number) =>
    Float32Array.from({ length: count }, (_, i) => Math.sin(from + i + step));
  return {
    x: new Tensor("float32", numbers(3 * batch, 1), [batch, 3]),
    target: new Tensor("float32", numbers(2 * batch, 2), [batch, 2]),
  };
}

async function open(on: Device, fused = false): Promise<TrainingSession> {
  return TrainingSession.create(generateArtifacts(mlp(), { loss: "mse", optimizer: "adamw", fused }), on);
}

/** Four steps: the gradients of the second and third are added. */
async function trained(session: TrainingSession) {
  const results: unknown[] = [];
  for (let step = 0; step < 4; step++) {
    if (step !== 2) session.lazyResetGrad();
    const outputs = await session.runTrainStep(feeds(step));
    results.push(
      Object.entries(outputs).map(([name, { type, dims, data }]) => [name, type, dims, [...data]]),
    );
    if (step !== 1) await session.runOptimizerStep();
  }
  const bytes = await session.saveCheckpoint();
  await session.release();
  return { results, bytes };
}

describe.each([false, true])("artifacts that are fused: %s", (fused) => {
  test("a session that writes into given arrays takes the same steps as one whose outputs are copied", async () => {
    expect(await trained(await open(device, fused))).toEqual(await trained(await open(copying, fused)));
  });
});

test("the outputs are written and not copied", async () => {
  const returned: unknown[] = [];
  const watched = running((own) => async (...call: Parameters<Run>) => {
    const result = await own(...call);
    returned.push(result);
    return result;
  });
  await trained(await open(watched));
  expect(returned).toEqual([]);
});

test("a step that begins its gradients anew writes them over the ones before, and one that adds to them does not", async () => {
  const session = await open(device);
  const arrays = async (reset: boolean) => {
    if (reset) session.lazyResetGrad();
    await session.runTrainStep(feeds(1));
    return session.sharedGradients();
  };
  const first = await arrays(true);
  const again = await arrays(true);
  const added = await arrays(false);
  for (const [i, array] of first.entries()) {
    expect(again[i]).toBe(array);
    expect(added[i]).not.toBe(array);
  }
  await session.release();
});

test("where a later onnxruntime-node returns the arrays, the steps are the same", async () => {
  const patient = running(
    (own) =>
      (...[given, fetches]: Parameters<Run>) =>
        own(given, fetches).catch(() => fetches),
  );
  expect(await trained(await open(patient))).toEqual(await trained(await open(copying)));
});

test("where the arrays are refused, the outputs are copied and the steps are the same", async () => {
  const refusing = running(
    (own) =>
      (...[given, fetches]: Parameters<Run>) =>
        Array.isArray(fetches) ? own(given, fetches) : Promise.reject(new Error("no arrays")),
  );
  expect(await trained(await open(refusing))).toEqual(await trained(await open(copying)));
});

test("a checkpoint keeps its numbers while the training goes on", async () => {
  const session = await open(device);
  const numbers = async () => {
    const { trainable, optimizer } = await session.checkpoint();
    return [...trainable.values(), ...[...(optimizer?.momenta.values() ?? [])].flat()].map(
      ({ data }) => data,
    );
  };
  const early: (readonly [unknown, unknown])[] = [];
  for (let step = 0; step < 4; step++) {
    session.lazyResetGrad();
    await session.runTrainStep(feeds(step));
    await session.runOptimizerStep();
    const now = await numbers();
    early.push([now, now.map((data) => data.slice())]);
  }
  for (const [kept, copy] of early) expect(kept).toEqual(copy);
  await session.release();
});

test("a step that fails leaves the state as it was, and the next one is as if it had not been", async () => {
  let failures = 1;
  const failing = running(
    (own) =>
      (...call: Parameters<Run>) =>
        failures-- > 0 || (failures === -1 && Array.isArray(call[1]))
          ? Promise.reject(new Error("out of memory"))
          : own(...call),
  );
  const session = await open(failing);
  session.lazyResetGrad();
  await expect(session.runTrainStep(feeds(0))).rejects.toThrow("out of memory");
  expect(await trained(session)).toEqual(await trained(await open(copying)));
});
