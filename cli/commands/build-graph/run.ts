import { type ArtifactBytes, artifactFiles, decodeCheckpoint } from "../../../artifacts/index.ts";
import { bindingsOf, chunkNames, decodeModel, encodeChunk, UserError } from "../../../graph-builder/index.ts";
import { writeTrainingArtifacts } from "../../../runtime/node/index.ts";
import { formatFields, formatLarge } from "../../format.ts";
import { expectOutputFolder } from "../../output.ts";
import { complete } from "../../settings.ts";
import { buildOfModel } from "./any-model.ts";
import { expectFittingFlags } from "./applicable.ts";
import type { Build } from "./build.ts";
import { type BuildGraphGiven, buildGraphCommand } from "./command.ts";
import { buildOfNetwork } from "./network.ts";

const EPOCH_MODEL = "epoch_model.onnx";

export async function run(given: BuildGraphGiven): Promise<number> {
  expectFittingFlags(given);
  const { target, chunk } = complete(buildGraphCommand.settings, given);
  if (chunk && target !== "standard") {
    throw new UserError("--chunk needs --target standard: a chunk is written in standard ONNX.", {
      code: "setting-conflict",
    });
  }
  const build = given.from === undefined ? buildOfNetwork(given) : await buildOfModel(given.from, given);
  const { folder, artifacts } = build;
  await expectOutputFolder(folder, given.from);
  const epoch = chunk ? epochModel(artifacts) : undefined;
  await writeTrainingArtifacts(folder, artifacts, { [EPOCH_MODEL]: epoch });
  process.stdout.write(describe(build, epoch));
  return 0;
}

function describe({ folder, artifacts, fields, sections, next }: Build, epoch: Uint8Array | undefined) {
  const sizes = Object.entries(artifactFiles).flatMap(([key, name]): [string, string][] => {
    const bytes = artifacts[key as keyof typeof artifactFiles];
    return bytes ? [[name, `${formatLarge(bytes.length)}B`]] : [];
  });
  const written = formatFields({
    ...fields,
    ...Object.fromEntries(sizes),
    ...(epoch && { [EPOCH_MODEL]: `${formatLarge(epoch.length)}B` }),
  });
  const steps = `Written to ${folder}. Next:\n${next.map((line) => `  ${line}\n`).join("")}`;
  return [written, ...sections, steps].join("\n\n");
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
