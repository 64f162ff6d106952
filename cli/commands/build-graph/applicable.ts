import { UserError } from "../../../graph-builder/index.ts";
import { kebabCase } from "../../../runtime/node/run/schema.ts";
import { settingGroups } from "../../settings.ts";
import type { BuildGraphGiven } from "./command.ts";

const ofBoth: readonly string[] = ["from", "classes", "data", "classMap"];

/** The settings of ShakeNet's own network and of the data that it is built for. */
const ofNetwork = [
  ...Object.keys(settingGroups.Network),
  ...[
    "imageSize",
    "channels",
    "valSplit",
    "splitSeed",
    "normDecay",
    "biasRate",
    "regularization",
    "survival",
  ],
];

/** The settings of a model that is read. */
const ofModel = [...Object.keys(settingGroups["Any model"]), "learningRate"];

/** Throws UserError for a setting of ShakeNet's network beside --from, and for one of --from without it. */
export function expectFittingFlags(given: BuildGraphGiven): void {
  const isGiven = (name: string) => given[name as keyof BuildGraphGiven] !== undefined;
  const others = (given.from === undefined ? ofModel : ofNetwork).filter((name) => !ofBoth.includes(name));
  const setting = others.find(isGiven);
  if (setting === undefined) return;
  const flag = `--${kebabCase(setting)}`;
  throw new UserError(
    given.from === undefined
      ? `${flag} needs --from MODEL.onnx: without it, build-graph compiles ShakeNet.`
      : `${flag} does not apply to --from ${given.from}: it is a setting of ShakeNet's own network.`,
    { code: "setting-conflict", details: { setting } },
  );
}
