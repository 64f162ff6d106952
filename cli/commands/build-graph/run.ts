import { join } from "node:path";
import { type ArtifactBytes, artifactFiles, decodeCheckpoint } from "../../../artifacts/index.ts";
import { bindingsOf, chunkNames, decodeModel, encodeChunk, UserError } from "../../../graph-builder/index.ts";
import { writeFileAtomic, writeTrainingArtifacts } from "../../../runtime/node/index.ts";
import { partOf } from "../../../runtime/node/run/schema.ts";
import { buildTrainingArtifacts } from "../../../shakenet/index.ts";
import { artifactSettings, networkSlug, runConfig, runSchemas } from "../../../shakenet/node/run-config.ts";
import { formatFields, formatLarge } from "../../format.ts";
import { shakeCommand } from "../../invocation.ts";
import { complete } from "../../settings.ts";
import { type BuildGraphGiven, buildGraphCommand } from "./command.ts";

const EPOCH_MODEL = "epoch_model.onnx";

export async function run(given: BuildGraphGiven): Promise<number> {
  const { target, fused, chunk, out } = complete(buildGraphCommand.settings, given);
  if (chunk && target !== "standard") {
    throw new UserError("--chunk needs --target standard: a chunk is written in standard ONNX.", {
      code: "setting-conflict",
    });
  }
  const config = runConfig(partOf(runSchemas, given));
  const folder = out ?? join("build", `${networkSlug(config)}-${config.data}`);
  const artifacts = buildTrainingArtifacts(artifactSettings(config, target, fused || chunk));
  await writeTrainingArtifacts(folder, artifacts);
  const epoch = chunk ? epochModel(artifacts) : undefined;
  if (epoch) await writeFileAtomic(join(folder, EPOCH_MODEL), epoch);
  const { network, parameters, cost } = artifacts.manifest;
  const fields = {
    network,
    parameters,
    "FLOPs an image": `${formatLarge(cost.forwardFlops)} forward, ${formatLarge(cost.backwardFlops)} backward`,
    target,
    optimizer: config.optimizer,
    ...Object.fromEntries(
      Object.entries(artifactFiles).flatMap(([key, name]) => {
        const bytes = artifacts[key as keyof typeof artifactFiles];
        return bytes ? [[name, `${formatLarge(bytes.length)}B`]] : [];
      }),
    ),
    ...(epoch && { [EPOCH_MODEL]: `${formatLarge(epoch.length)}B` }),
  };
  const next = [
    shakeCommand("train", "--artifacts", folder, "--data", config.data),
    shakeCommand("inspect", folder),
  ];
  process.stdout.write(
    `${formatFields(fields)}\n\nWritten to ${folder}. Next:\n${next.map((line) => `  ${line}\n`).join("")}`,
  );
  return 0;
}

/** The model that takes many steps in one call: Scan around a fused training model. */
function epochModel({ trainingModel, checkpoint }: ArtifactBytes): Uint8Array {
  const where = artifactFiles.trainingModel;
  const model = decodeModel(trainingModel, where);
  const { trainable, frozen } = decodeCheckpoint(checkpoint, artifactFiles.checkpoint);
  const tensors = { trainable: new Set(trainable.keys()), frozen: new Set(frozen.keys()) };
  return encodeChunk(
    model,
    chunkNames({ graph: model.graph, bindings: bindingsOf(model, "training", tensors, where) }),
  );
}
