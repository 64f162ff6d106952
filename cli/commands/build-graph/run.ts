import { artifactFiles } from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/index.ts";
import { writeTrainingArtifacts } from "../../../runtime/node/index.ts";
import { formatFields, formatLarge } from "../../format.ts";
import { expectOutputFolder } from "../../output.ts";
import { complete } from "../../settings.ts";
import { print } from "../../terminal.ts";
import { buildOfModel } from "./any-model.ts";
import { expectFittingFlags } from "./applicable.ts";
import type { Build } from "./build.ts";
import { type BuildGraphGiven, buildGraphCommand } from "./command.ts";
import { buildOfNetwork } from "./network.ts";

export async function run(given: BuildGraphGiven): Promise<number> {
  expectFittingFlags(given);
  const { target, chunk } = complete(buildGraphCommand.settings, given);
  if (chunk && target !== "standard") {
    throw new UserError("--chunk needs --target standard: a chunk is written in standard ONNX.", {
      code: "setting-conflict",
    });
  }
  const build = await (given.from === undefined ? buildOfNetwork(given) : buildOfModel(given.from, given));
  const { folder, artifacts } = build;
  await expectOutputFolder(folder, given.from);
  await writeTrainingArtifacts(folder, artifacts);
  print(describe(build).trimEnd());
  return 0;
}

function describe({ folder, artifacts, fields, sections, next }: Build): string {
  const sizes = Object.entries(artifactFiles).flatMap(([key, name]): [string, string][] => {
    const bytes = artifacts[key as keyof typeof artifactFiles];
    return bytes ? [[name, `${formatLarge(bytes.length)}B`]] : [];
  });
  const written = formatFields({
    ...fields,
    ...Object.fromEntries(sizes),
  });
  const steps = `Written to ${folder}. Next:\n${next.map((line) => `  ${line}\n`).join("")}`;
  return [written, ...sections, steps].join("\n\n");
}
