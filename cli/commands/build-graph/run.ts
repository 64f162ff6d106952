import { join } from "node:path";
import { artifactFiles } from "../../../artifacts/index.ts";
import { writeTrainingArtifacts } from "../../../runtime/node/index.ts";
import { partOf } from "../../../runtime/node/run/schema.ts";
import { buildTrainingArtifacts } from "../../../shakenet/index.ts";
import { artifactSettings, networkSlug, runConfig, runSchemas } from "../../../shakenet/node/run-config.ts";
import { formatFields, formatLarge } from "../../format.ts";
import { shakeCommand } from "../../invocation.ts";
import { complete } from "../../settings.ts";
import { type BuildGraphGiven, buildGraphCommand } from "./command.ts";

export async function run(given: BuildGraphGiven): Promise<number> {
  const { target, fused, out } = complete(buildGraphCommand.settings, given);
  const config = runConfig(partOf(runSchemas, given));
  const folder = out ?? join("build", `${networkSlug(config)}-${config.data}`);
  const artifacts = buildTrainingArtifacts(artifactSettings(config, target, fused));
  await writeTrainingArtifacts(folder, artifacts);
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
