import { Tensor } from "onnxruntime-common";
import { expect, test } from "vitest";
import { UserError } from "../../../../graph-builder/index.ts";
import { ChunkedThread } from "../../../../runtime/node/index.ts";
import { buildTrainingArtifacts } from "../../../../shakenet/index.ts";
import { classifierArtifacts } from "../../../support/tiny-classifier.ts";
import { tinyRun, tinySettings } from "../../../support/tiny-run.ts";
import { collect, untimedRecords } from "../../../support/training-runs.ts";

const worker = new URL("../../../../dist/runtime/node/chunks/chunk-worker.js", import.meta.url);
const artifacts = buildTrainingArtifacts(tinySettings());
const options = { device: "cpu", threads: 1, stepsPerCall: 2, worker } as const;

test("a run in a thread of its own ends in the bytes of one without, and its thread ends with it", async () => {
  const { saved, ...plain } = await tinyRun({
    chunk: { stepsPerCall: 2 },
    average: { kind: "lookahead", everySteps: 2 },
  });
  const records = untimedRecords(await collect({ saved, ...plain }));
  const last = saved.get("last");
  const session = await ChunkedThread.create(artifacts, options);
  const threaded = await tinyRun({
    chunk: { stepsPerCall: 2 },
    average: { kind: "lookahead", everySteps: 2 },
  });
  expect(untimedRecords(await collect({ ...threaded, session }))).toEqual(records);
  expect(threaded.saved.get("last")).toEqual(last);
  await session.release();
  await expect(session.checkpoint()).rejects.toThrow(/was released/);
});

test("mistakes in the thread are UserErrors here, and the session goes on", async () => {
  const { optimizerModel: _, ...without } = artifacts;
  await expect(ChunkedThread.create(without, options)).rejects.toThrow(
    new UserError("Several steps a call need an optimizer model beside the training model.", {
      code: "model-missing",
    }),
  );
  const session = await ChunkedThread.create(artifacts, options);
  await expect(session.runSteps({}, Float32Array.of(0.1))).rejects.toThrow(/The input images is missing/);
  await expect(session.runSteps({}, Float32Array.of(-1))).rejects.toMatchObject({ code: "setting-invalid" });
  expect((await session.checkpoint()).trainable.size).toBeGreaterThan(0);
  const running = session.checkpoint();
  await expect(session.checkpoint()).rejects.toMatchObject({ code: "session-busy" });
  await running;
  await session.release();
});

test("feeds that an earlier call has moved are refused, and the session goes on", async () => {
  const session = await ChunkedThread.create(classifierArtifacts(), options);
  const feeds = () => ({
    images: new Tensor("uint8", new Uint8Array(240), [1, 2, 2, 6, 10]),
    labels: new Tensor("int64", [0n, 1n], [1, 2]),
  });
  const [once, rates] = [feeds(), Float32Array.of(0.1)];
  await session.runSteps(once, rates);
  await expect(session.runSteps(once, rates)).rejects.toMatchObject({
    message: "The input images was moved to the thread by an earlier call: give new tensors.",
    code: "input-value",
  });
  await session.runSteps(feeds(), rates);
  await session.release();
});

test("a thread that dies ends the session with a reason", async () => {
  const script = `
    import { parentPort } from "node:worker_threads";
    const answer = ({ method }) => method === "open" ? parentPort.postMessage({ result: undefined }) : process.exit(3);
    parentPort.on("message", answer);`;
  const dying = new URL(`data:text/javascript,${encodeURIComponent(script)}`);
  const session = await ChunkedThread.create(artifacts, { ...options, worker: dying });
  const death = new UserError("The thread that trains has died: it ended with exit code 3.", {
    code: "thread-died",
    details: { reason: "it ended with exit code 3" },
  });
  await expect(session.runSteps({}, Float32Array.of(0.1))).rejects.toEqual(death);
  await expect(session.checkpoint()).rejects.toEqual(death);
  await session.release();
});
