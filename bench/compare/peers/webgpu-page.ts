// the page that trains on WebGPU; train-shakenet-webgpu.ts opens it and calls `openSession` and `train`
import { TrainingSession } from "../../../runtime/session/training-session.ts";
import { loadOnnxRuntime, openTrainingDevice } from "../../../web/worker/devices.ts";
import { readTensors, type SharedWorkload, workloadFiles } from "../workload.ts";
import { batchFeeds, type Turn, timeSteps, trainStep } from "./steps.ts";

let step: (() => Promise<number>) | undefined;

async function fetchBytes(path: string): Promise<ArrayBuffer> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.arrayBuffer();
}

/**
 * Opens a workload with an ONNX Runtime, both by URL. Returns ONNX Runtime's version and the graphics card.
 */
async function openSession(workload: string, onnxruntime: string): Promise<string> {
  const build = `${onnxruntime}/ort-wasm-simd-threaded.asyncify`;
  const module = new URL(`${build}.mjs`, location.href).href;
  await loadOnnxRuntime({ type: "start", module, wasm: `${build}.wasm`, bytes: 1 }, () => undefined);
  const [settings, tensors, checkpoint, trainingModel, optimizerModel] = await Promise.all(
    [
      workloadFiles.settings,
      workloadFiles.tensors,
      ...["checkpoint", "training_model.onnx", "optimizer_model.onnx"].map((name) => `session/${name}`),
    ].map((path) => fetchBytes(`${workload}/${path}`)),
  );
  if (!settings || !tensors || !checkpoint || !trainingModel) throw new Error("the workload is incomplete");
  const file: SharedWorkload = JSON.parse(new TextDecoder().decode(settings));
  const device = await openTrainingDevice("webgpu");
  const session = await TrainingSession.create(
    {
      checkpoint: new Uint8Array(checkpoint),
      trainingModel: new Uint8Array(trainingModel),
      optimizerModel: optimizerModel && new Uint8Array(optimizerModel),
    },
    device,
  );
  step = trainStep(session, batchFeeds(readTensors(file, tensors), device.ort), file.learningRate);
  const { vendor, architecture } = (await navigator.gpu.requestAdapter())?.info ?? {};
  return `onnxruntime-web ${device.ort.env.versions.web}, ${vendor} ${architecture}`;
}

/** Trains some steps. */
async function train(steps: number): Promise<Turn> {
  if (!step) throw new Error("there is no session yet");
  return timeSteps(steps, step);
}

Object.assign(globalThis, { openSession, train });
