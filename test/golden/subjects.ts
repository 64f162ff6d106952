import { type Checkpoint, decodeCheckpoint, encodeCheckpoint } from "../../artifacts/index.ts";
import { type Lowering, loweringOf, nameValues, quantize, runPasses } from "../../graph-builder/index.ts";
import {
  decodeSources,
  lowerModel,
  lowerModels,
  withoutUpdates,
} from "../../runtime/session/lowered-models.ts";
import {
  type ArtifactSettings,
  buildTrainingArtifacts,
  encodeInferenceModel,
  frozenModel,
  fuseArtifacts,
  type InferenceForm,
  inferenceGraph,
  trainedGraph,
  unfuseCheckpoint,
} from "../../shakenet/index.ts";
import { provenanceOf } from "../../shakenet/node/run.ts";
import { runConfig } from "../../shakenet/node/run-config.ts";
import { modelNotes } from "../../shakenet/provenance.ts";

// This file alone imports the product: where its files move, only these imports change.

type Files = Readonly<Record<string, Uint8Array>>;

/** Emitted files that have one record together. */
interface Subject {
  readonly name: string;
  readonly files: () => Files | Promise<Files>;
}

const smallest: ArtifactSettings = {
  depth: 8,
  width: 4,
  classes: 10,
  mean: [125.3, 123, 113.9],
  std: [63, 62.1, 66.7],
  target: "ort-training",
  optimizer: "sgd-nesterov",
  momentum: 0.9,
  weightDecay: 1e-4,
  seed: 1,
};

type Changes = Partial<ArtifactSettings>;

const optimizers = ["sgd", "sgd-nesterov", "adamw"] as const;

const networks: Readonly<Record<string, Changes>> = {
  "14-2x8d-adamw-100-classes": { depth: 14, width: 8, optimizer: "adamw", classes: 100 },
  "26-2x4d-momentum-and-weight-decay": { depth: 26, momentum: 0.5, weightDecay: 5e-4 },
  "8-2x16d-seed-7": { width: 16, seed: 7 },
};

const targets = (["ort-training", "standard"] as const).flatMap((target) =>
  [false, true].flatMap((fused) =>
    optimizers.map((optimizer): [string, Changes] => [
      `8-2x4d-${target}-${optimizer}${fused ? "-fused" : ""}`,
      { target, optimizer, ...(fused ? { fused } : {}) },
    ]),
  ),
);

/** Those of the devices, with fixed sizes of blocks: the records are the same on every processor. */
const lowerings = {
  portable: loweringOf("portable"),
  cpu: loweringOf("cpu"),
  nchwc8: loweringOf("cpu", 8),
  nchwc16: loweringOf("cpu", 16),
  webgpu: loweringOf("webgpu"),
} satisfies Record<string, Lowering>;

/**
 * From width 16 on, the CPU's lowering has convolutions by Winograd's algorithm. From width 8 on, blocks of 8
 * channels fit every stage.
 */
const lowered: readonly [string, keyof typeof lowerings, Changes][] = [
  ["8-2x4d-sgd-nesterov", "portable", {}],
  ["8-2x4d-adamw", "portable", { optimizer: "adamw" }],
  ["8-2x4d-sgd-fused", "portable", { optimizer: "sgd", fused: true }],
  ["8-2x4d-standard", "portable", { target: "standard" }],
  ["8-2x16d-sgd-nesterov", "cpu", { width: 16 }],
  ["8-2x8d-adamw-fused", "cpu", { width: 8, optimizer: "adamw", fused: true }],
  ["8-2x8d-sgd-nesterov", "nchwc8", { width: 8 }],
  ["14-2x8d-sgd-fused", "nchwc8", { depth: 14, width: 8, optimizer: "sgd", fused: true }],
  ["8-2x16d-sgd", "nchwc16", { width: 16, optimizer: "sgd" }],
  ["8-2x4d-sgd-nesterov", "webgpu", {}],
];

const forms: Readonly<Record<string, Partial<InferenceForm>>> = {
  "as-is": {},
  "uint8-nhwc": { input: "uint8-nhwc" },
  probabilities: { output: "probabilities" },
  "batch-5": { batch: 5 },
  "alpha-input": { alphaInput: true },
  float16: { precision: "float16" },
  "all-changed": {
    input: "uint8-nhwc",
    output: "probabilities",
    batch: 1,
    precision: "float16",
    alphaInput: true,
  },
};

export const subjects: readonly Subject[] = [
  ...[...targets, ...Object.entries(networks)].map(([name, changes]) => ({
    name: `artifacts-${name}`,
    files: () => artifactFiles(changes),
  })),
  ...lowered.map(([name, lowering, changes]) => ({
    name: `lowered-${lowering}-${name}`,
    files: () => loweredFiles(changes, lowerings[lowering]),
  })),
  { name: "lowered-cpu-8-2x4d-for-a-replica", files: replicaFiles },
  { name: "checkpoints-8-2x4d", files: checkpointFiles },
  ...Object.entries(forms).map(([name, form]) => ({
    name: `export-8-2x4d-${name}`,
    files: () => exportedFiles(smallest, form, [11, 13, 17, 21]),
  })),
  { name: "export-14-2x8d", files: () => exportedFiles({ ...smallest, depth: 14, width: 8 }, {}, [17]) },
  { name: "export-8-2x4d-int8", files: quantizedFiles },
  { name: "export-8-2x4d-unfolded", files: unfoldedFiles },
];

function artifactFiles(changes: Changes): Files {
  const { trainingModel, evalModel, optimizerModel, checkpoint, manifest } = buildTrainingArtifacts({
    ...smallest,
    ...changes,
  });
  return {
    "manifest.json": new TextEncoder().encode(JSON.stringify(manifest, null, 2)),
    checkpoint,
    "training_model.onnx": trainingModel,
    "eval_model.onnx": evalModel,
    ...(optimizerModel ? { "optimizer_model.onnx": optimizerModel } : {}),
  };
}

/** What ONNX Runtime is handed on a device. */
async function loweredFiles(changes: Changes, lowering: Lowering): Promise<Files> {
  const { train, evaluate, optimize } = lowerModels(await decoded(changes), lowering);
  return {
    "train.onnx": train.bytes,
    ...(evaluate ? { "evaluate.onnx": evaluate.bytes } : {}),
    ...(optimize ? { "optimize.onnx": optimize.bytes } : {}),
  };
}

/** What ONNX Runtime is handed in a thread that updates every second parameter. */
async function replicaFiles(): Promise<Files> {
  const { checkpoint, optimizer } = await decoded({});
  if (!optimizer) throw new Error("no optimizer model");
  const others = [...checkpoint.trainable.keys()].filter((_, i) => i % 2 === 1);
  return { "optimize.onnx": lowerModel(withoutUpdates(optimizer, others), lowerings.cpu).bytes };
}

function decoded(changes: Changes): ReturnType<typeof decodeSources> {
  return decodeSources(buildTrainingArtifacts({ ...smallest, ...changes }));
}

/**
 * Checkpoints as a training writes them, read and written again, and in the layout of the fused artifacts and
 * back.
 */
function checkpointFiles(): Files {
  const files: Record<string, Uint8Array> = {};
  for (const optimizer of optimizers) {
    const settings = { ...smallest, optimizer };
    const bytes = encodeCheckpoint(trainedCheckpoint(settings));
    const fused = fuseArtifacts({ ...buildTrainingArtifacts(settings), checkpoint: bytes });
    files[`${optimizer}.checkpoint`] = bytes;
    files[`${optimizer}-again.checkpoint`] = encodeCheckpoint(decodeCheckpoint(bytes));
    files[`${optimizer}-fused.checkpoint`] = fused.checkpoint;
    files[`${optimizer}-unfused.checkpoint`] = unfuseCheckpoint(fused.checkpoint, {
      ...buildTrainingArtifacts(settings),
      checkpoint: bytes,
    });
  }
  return files;
}

/** What `shake export` writes, of a run and (for opset 17) of a checkpoint alone. */
function exportedFiles(
  settings: ArtifactSettings,
  form: Partial<InferenceForm>,
  opsets: readonly number[],
): Files {
  const checkpoint = trainedCheckpoint(settings);
  const { depth, width } = settings;
  // the number of replicas, which the metadata have, otherwise follows the number of cores
  const about = provenanceOf(runConfig({ depth, width, replicas: 2 }), 12.5);
  const model = (run: typeof about | undefined, opset: number) =>
    frozenModel(checkpoint, "the checkpoint", run, { ...exportForm, ...form, opset });
  return {
    ...Object.fromEntries(opsets.map((opset) => [`opset-${opset}.onnx`, model(about, opset)])),
    "checkpoint-alone.onnx": model(undefined, 17),
  };
}

const exportForm: InferenceForm = {
  input: "float32-nchw",
  output: "logits",
  batch: "dynamic",
  precision: "float32",
  alphaInput: false,
};

/** 8-bit models with invented ranges in place of those that calibration measures on a device. */
function quantizedFiles(): Files {
  const checkpoint = trainedCheckpoint(smallest);
  const file = (form: InferenceForm, opset: number) => {
    const graph = inferenceGraph(smallest, checkpoint, form);
    const names = [...nameValues(graph).values()];
    const ranges = new Map(names.map((name, i) => [name, { min: -1 - (i % 3), max: 2 + (i % 5) }]));
    const notes = modelNotes(checkpoint, smallest, {}, { ...form, precision: "int8", opset });
    return encodeInferenceModel(runPasses(graph, [quantize(ranges)]), notes);
  };
  return {
    ...Object.fromEntries([13, 17, 21].map((opset) => [`opset-${opset}.onnx`, file(exportForm, opset)])),
    "all-changed.onnx": file(
      { input: "uint8-nhwc", output: "probabilities", batch: 1, precision: "float32", alphaInput: true },
      17,
    ),
  };
}

/** The graphs that the folded ones are made from. */
function unfoldedFiles(): Files {
  const checkpoint = trainedCheckpoint(smallest);
  const file = (form: Partial<InferenceForm>) =>
    encodeInferenceModel(trainedGraph(smallest, checkpoint, form));
  return { "as-is.onnx": file({}), "all-changed.onnx": file({ ...forms["all-changed"] }) };
}

/**
 * A checkpoint in which no tensor is constant, as training leaves it, by integer arithmetic that is the same
 * everywhere.
 */
function trainedCheckpoint(settings: ArtifactSettings): Checkpoint {
  const checkpoint = decodeCheckpoint(buildTrainingArtifacts(settings).checkpoint);
  const { trainable, frozen, optimizer, properties } = checkpoint;
  const moments = [...(optimizer?.momenta ?? [])].flatMap(([name, tensors]) =>
    tensors.map((tensor) => [name, tensor] as const),
  );
  let state = 1;
  for (const [name, { data }] of [...trainable, ...frozen, ...moments]) {
    const least = name.endsWith("running_var") ? 0.25 : -0.5;
    for (let i = 0; i < data.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) | 0;
      data[i] = least + (state >>> 8) / 2 ** 24;
    }
  }
  if (optimizer) optimizer.step = 7;
  properties.set("epoch", 2n).set("step", 7n).set("data_sha256", "0123456789abcdef");
  return checkpoint;
}
