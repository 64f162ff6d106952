import { join } from "node:path";
import { artifactFiles } from "../../artifacts/index.ts";
import { writeTrainingArtifacts } from "../../runtime/node/index.ts";
import { buildTrainingArtifacts } from "../../shakenet/index.ts";
import type { Command } from "../flags.ts";
import { artifactSettings, networkSlug, runConfig, settingsOf, withDefaults } from "../settings.ts";
import { formatFields, formatLarge } from "../tables.ts";

const settings = [
  ...settingsOf("Network"),
  ...(["data", "optimizer", "momentum", "weightDecay", "seed", "target", "fused", "out", "config"] as const),
];

/** `shake build-graph`: writes ONNX Runtime's training artifacts of a network. */
export const buildGraph: Command<(typeof settings)[number]> = {
  settings,
  async run(given) {
    const { target, fused, out } = withDefaults(settings, given);
    const config = runConfig(given);
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
    process.stdout.write(`${formatFields(fields)}\n\nWritten to ${folder}. Next:\n`);
    process.stdout.write(
      `  shake train --artifacts ${folder} --data ${config.data}\n  shake inspect ${folder}\n`,
    );
    return 0;
  },
};
