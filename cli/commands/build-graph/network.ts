import { join } from "node:path";
import type { PictureFacts } from "../../../runtime/index.ts";
import { ownDataPath } from "../../../runtime/node/data/own/own-pictures.ts";
import { partOf } from "../../../runtime/node/run/schema.ts";
import { buildTrainingArtifacts, networkSlug } from "../../../shakenet/index.ts";
import { artifactSettings, runConfig, runSchemas } from "../../../shakenet/node/run-config.ts";
import { dataSlug } from "../../../shakenet/node/run-data.ts";
import { dataOfShakeNet } from "../../data/shakenet-data.ts";
import { formatLarge } from "../../format.ts";
import { shakeCommand } from "../../invocation.ts";
import { openProgress } from "../../progress.ts";
import { complete } from "../../settings.ts";
import type { Build } from "./build.ts";
import { type BuildGraphGiven, buildGraphCommand } from "./command.ts";

/**
 * The artifacts of a ShakeNet for a data set. Of one's own pictures, the network has the statistics and the
 * size, and the checkpoint the names of the classes.
 */
export async function buildOfNetwork(given: BuildGraphGiven): Promise<Build> {
  const { target, fused, chunk, out } = complete(buildGraphCommand.settings, given);
  const own = given.data === undefined ? undefined : await ownDataPath(given.data);
  const data = own ?? given.data;
  const { opened, facts: pictures } = await dataOfShakeNet({ ...given, data }, openProgress());
  await opened.close();
  const config = runConfig(
    { ...partOf(runSchemas, given), ...(data === undefined ? {} : { data }) },
    pictures,
  );
  const folder = out ?? join("build", `${networkSlug(config)}-${dataSlug(config)}`);
  const settings = artifactSettings(config, target, fused || chunk);
  const artifacts = buildTrainingArtifacts(settings, { chunk, pictures });
  const { network, parameters, cost } = artifacts.manifest;
  return {
    folder,
    artifacts,
    fields: {
      network,
      classes: pictures?.classNames.join(", "),
      pictures: pictures && describePictures(pictures),
      parameters,
      "FLOPs an image": `${formatLarge(cost.forwardFlops)} forward, ${formatLarge(cost.backwardFlops)} backward`,
      target,
      optimizer: config.optimizer,
    },
    sections: [],
    next: [
      shakeCommand("train", "--artifacts", folder, "--data", given.data ?? config.data),
      shakeCommand("inspect", folder),
    ],
  };
}

function describePictures({ size: { channels, height, width }, mean, std }: PictureFacts): string {
  return `${channels} x ${height} x ${width}, mean ${mean.join(", ")}, deviation ${std.join(", ")}`;
}
