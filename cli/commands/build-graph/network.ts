import { join } from "node:path";
import { partOf } from "../../../runtime/node/run/schema.ts";
import { buildTrainingArtifacts } from "../../../shakenet/index.ts";
import { artifactSettings, networkSlug, runConfig, runSchemas } from "../../../shakenet/node/run-config.ts";
import { formatLarge } from "../../format.ts";
import { shakeCommand } from "../../invocation.ts";
import { complete } from "../../settings.ts";
import type { Build } from "./build.ts";
import { type BuildGraphGiven, buildGraphCommand } from "./command.ts";

/** The artifacts of a ShakeNet. */
export function buildOfNetwork(given: BuildGraphGiven): Build {
  const { target, fused, chunk, out } = complete(buildGraphCommand.settings, given);
  const config = runConfig(partOf(runSchemas, given));
  const folder = out ?? join("build", `${networkSlug(config)}-${config.data}`);
  const artifacts = buildTrainingArtifacts(artifactSettings(config, target, fused || chunk), { chunk });
  const { network, parameters, cost } = artifacts.manifest;
  return {
    folder,
    artifacts,
    fields: {
      network,
      parameters,
      "FLOPs an image": `${formatLarge(cost.forwardFlops)} forward, ${formatLarge(cost.backwardFlops)} backward`,
      target,
      optimizer: config.optimizer,
    },
    sections: [],
    next: [
      shakeCommand("train", "--artifacts", folder, "--data", config.data),
      shakeCommand("inspect", folder),
    ],
  };
}
