// writes a chunk of training steps in bfloat16 in operators of ai.onnx: write-bfloat16.js ARTIFACTS OUTPUT

import { join } from "node:path";
import { readFileBytes } from "../../dist/artifacts/index.js";
import { portable } from "../../dist/graph-builder/index.js";
import { chunkModel } from "../../dist/runtime/index.js";
import { writeFileAtomic } from "../../dist/runtime/node/index.js";
import { decodeArtifacts, readArtifacts } from "../../dist/runtime/session/lowered-models.js";

const [folder, output] = process.argv.slice(2);
const open = (name) => readFileBytes(join(folder, name));
const artifacts = await readArtifacts({
  checkpoint: await open("checkpoint"),
  trainingModel: await open("training_model.onnx"),
  optimizerModel: await open("optimizer_model.onnx"),
});
const device = { name: "cuda", lowering: portable };
const { bytes } = chunkModel(decodeArtifacts(artifacts), device, { precision: "bfloat16" });
await writeFileAtomic(output, bytes);
