import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "../../artifacts/index.ts";
import { type Lowering, loweringOf, nameValues, quantize, runPasses } from "../../graph-builder/index.ts";
import { decodeSources, lowerModels } from "../../runtime/session/lowered-models.ts";
import {
  buildTrainingArtifacts,
  encodeInferenceModel,
  frozenModel,
  inferenceGraph,
  trainedGraph,
} from "../../shakenet/index.ts";
import { provenanceOf } from "../../shakenet/node/run.ts";
import { runConfig } from "../../shakenet/node/run-config.ts";
import { tinySettings } from "../support/tiny-run.ts";

type Settings = ReturnType<typeof tinySettings>;
type Files = Readonly<Record<string, Uint8Array>>;

/** A setting and the files that it emits. */
interface Subject {
  readonly name: string;
  readonly files: () => Files | Promise<Files>;
}

const artifacts: readonly [string, Partial<Settings>][] = [
  ["8-2x2d-nesterov", {}],
  ["8-2x4d-sgd", { width: 4, optimizer: "sgd" }],
  ["14-2x4d-adamw", { depth: 14, width: 4, optimizer: "adamw", classes: 100 }],
  ["26-2x2d-nesterov-momentum-0.5", { depth: 26, momentum: 0.5, weightDecay: 5e-4 }],
  ["8-2x16d-seed-7", { width: 16, seed: 7 }],
  ["8-2x2d-nesterov-fused", { fused: true }],
  ["8-2x2d-adamw-fused", { optimizer: "adamw", fused: true }],
  ["8-2x2d-nesterov-standard", { target: "standard" }],
  ["8-2x2d-sgd-standard", { target: "standard", optimizer: "sgd" }],
  ["8-2x2d-adamw-standard", { target: "standard", optimizer: "adamw" }],
  ["8-2x2d-sgd-standard-fused", { target: "standard", optimizer: "sgd", fused: true }],
  ["8-2x2d-adamw-standard-fused", { target: "standard", optimizer: "adamw", fused: true }],
];

/** Lowerings at fixed block sizes, whatever this machine's processor is. */
const lowerings = {
  portable: loweringOf("portable"),
  cpu: loweringOf("cpu"),
  nchwc8: loweringOf("cpu", 8),
  nchwc16: loweringOf("cpu", 16),
};

const lowered: readonly [string, keyof typeof lowerings, Partial<Settings>][] = [
  ["8-2x2d-portable", "portable", {}],
  ["8-2x2d-adamw-portable", "portable", { optimizer: "adamw" }],
  ["8-2x4d-cpu", "cpu", { width: 4 }],
  ["8-2x16d-nchwc8", "nchwc8", { width: 16 }],
  ["8-2x32d-nchwc16", "nchwc16", { width: 32 }],
  ["8-2x2d-sgd-fused-cpu", "cpu", { optimizer: "sgd", fused: true }],
];

const forms: Parameters<typeof inferenceGraph>[2][] = [
  {},
  { input: "uint8-nhwc" },
  { output: "probabilities", batch: 1 },
  { alphaInput: true },
  { precision: "float16" },
  { input: "uint8-nhwc", output: "probabilities", precision: "float16", batch: 4 },
];

export const subjects: readonly Subject[] = [
  ...artifacts.map(([name, changes]) => ({ name: `artifacts-${name}`, files: () => emitted(changes) })),
  ...lowered.map(([name, table, changes]) => ({
    name: `lowered-${name}`,
    files: () => loweredFiles(changes, lowerings[table]),
  })),
  { name: "checkpoint-again", files: () => ({ checkpoint: encodeCheckpoint(checkpointOf({})) }) },
  ...forms.map((form, i) => ({
    name: `exported-${i}`,
    files: () => ({
      "model.onnx": encodeInferenceModel(inferenceGraph(tinySettings(), checkpointOf({}), form)),
    }),
  })),
  {
    name: "exported-unfolded",
    files: () => ({ "model.onnx": encodeInferenceModel(trainedGraph(tinySettings(), checkpointOf({}))) }),
  },
  ...[11, 13, 18, 21].map((opset) => ({ name: `exported-opset-${opset}`, files: () => exported(opset) })),
  { name: "exported-int8", files: quantized },
];

function emitted(changes: Partial<Settings>): Files {
  const { trainingModel, evalModel, optimizerModel, checkpoint, manifest } = buildTrainingArtifacts(
    tinySettings(changes),
  );
  return {
    "training_model.onnx": trainingModel,
    "eval_model.onnx": evalModel,
    ...(optimizerModel ? { "optimizer_model.onnx": optimizerModel } : {}),
    checkpoint,
    "manifest.json": new TextEncoder().encode(JSON.stringify(manifest, null, 2)),
  };
}

async function loweredFiles(changes: Partial<Settings>, table: Lowering): Promise<Files> {
  const decoded = await decodeSources(buildTrainingArtifacts(tinySettings(changes)));
  const { train, evaluate, optimize } = lowerModels(decoded, table);
  return {
    "train.onnx": train.bytes,
    ...(evaluate ? { "evaluate.onnx": evaluate.bytes } : {}),
    ...(optimize ? { "optimize.onnx": optimize.bytes } : {}),
  };
}

function checkpointOf(changes: Partial<Settings>): Checkpoint {
  return decodeCheckpoint(buildTrainingArtifacts(tinySettings(changes)).checkpoint, "a test's checkpoint");
}

/** What `shake export` writes of a run on `shapes`, with its provenance. */
function exported(opset: number): Files {
  const about = provenanceOf(runConfig({ depth: 8, width: 2 }), 12.5);
  const form = {
    input: "float32-nchw",
    output: "logits",
    batch: "dynamic",
    precision: "float32",
    alphaInput: false,
    opset,
  } as const;
  return {
    "model.onnx": frozenModel(checkpointOf({}), "a test's checkpoint", about, form),
  };
}

/** 8 bits with made ranges in place of those that images give. */
function quantized(): Files {
  const graph = inferenceGraph(tinySettings(), checkpointOf({}));
  const ranges = new Map(
    [...nameValues(graph).values()].map((name, i) => [name, { min: -1 - (i % 3), max: 2 + (i % 5) }]),
  );
  return { "model.onnx": encodeInferenceModel(runPasses(graph, [quantize(ranges)])) };
}
