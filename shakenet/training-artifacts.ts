import * as z from "zod/mini";
import type { Checkpoint } from "../artifacts/checkpoint.ts";
import { generateArtifacts } from "../artifacts/generate.ts";
import type { GenerateOptions } from "../artifacts/generate-options.ts";
import { parseValue } from "../artifacts/json.ts";
import type { Manifest, TrainingArtifacts } from "../artifacts/manifest.ts";
import { costOf } from "../graph-builder/cost.ts";
import type { PictureFacts } from "../runtime/data/types.ts";
import { blockCount, networkName, networkTitle } from "./network.ts";
import type { Regularization } from "./paper-settings.ts";
import { regularizationOf } from "./regularization.ts";
import { type ArtifactSettings, artifactSettingsSchema, optimizerRule, settingsIn } from "./settings.ts";
import { networkTensors, shakeNetForm, shakeNetTraining, trainingModel } from "./training-graph.ts";

/** The manifest of a ShakeNet's artifacts. */
export interface ShakeNetManifest extends Manifest {
  readonly network: string;
  readonly settings: ArtifactSettings;
  readonly blocks: number;
}

/** The training artifacts of a ShakeNet. */
export type ShakeNetArtifacts = TrainingArtifacts<ShakeNetManifest>;

const shakeNetFields = z.object({
  network: z.string(),
  blocks: z.int().check(z.minimum(1)),
  settings: artifactSettingsSchema,
});

/**
 * Whether a manifest is one of a ShakeNet's artifacts. Throws UserError, naming `where` and the field, where
 * it has a ShakeNet's settings and one of them is wrong.
 */
export function isShakeNetManifest(manifest: Manifest, where = "The manifest"): manifest is ShakeNetManifest {
  if (!("settings" in manifest)) return false;
  parseValue(shakeNetFields, manifest, { where, code: "manifest-damaged" });
  return true;
}

/** What artifacts may have beside their network. */
export interface ArtifactExtras extends Pick<GenerateOptions, "chunk"> {
  /** What the checkpoint keeps of one's own pictures for the exported network. */
  readonly pictures?: Pick<PictureFacts, "classNames" | "background"> | undefined;
}

/**
 * The training artifacts of a network; the same settings always give the same bytes. With `chunk`, which
 * needs a fused model of the target standard, also a model that takes many steps in one call. Throws
 * UserError for invalid network settings.
 */
export function buildTrainingArtifacts(
  settings: ArtifactSettings,
  { chunk, pictures }: ArtifactExtras = {},
): ShakeNetArtifacts {
  const { target, fused, optimizer, seed } = settings;
  const form = shakeNetForm(settings);
  const trained = new Set(trainedNames(settings));
  const name = networkTitle(settings);
  const { manifest, ...files } = generateArtifacts(form, {
    ...shakeNetTraining,
    trainable: ({ name: tensor }) => trained.has(tensor),
    substitutes: form.substitutes,
    optimizer: optimizerRule(settings),
    target,
    fused,
    chunk,
    seed,
    properties: new Map([
      ["settings", JSON.stringify(settings)],
      ...(pictures ? pictureProperties(pictures) : []),
    ]),
    docStrings: {
      training: `${name}: forward, loss${fused ? ", backward and update" : " and backward"}`,
      evaluation: `${name}: evaluation with ${meanOfNoise[regularizationOf(settings)]}`,
      optimizer: `${name}: ${optimizer} step`,
    },
  });
  const { format, parameters } = manifest;
  // a graph whose heights and widths are free does not tell what an image costs
  const cost = settings.anySize
    ? costOf(trainingModel({ ...settings, anySize: undefined }).graph)
    : manifest.cost;
  const network = networkName(settings);
  return {
    ...files,
    manifest: { format, network, settings, parameters, blocks: blockCount(settings), cost },
  };
}

/** The properties of a checkpoint that become metadata of the exported network. */
function pictureProperties({ classNames, background }: Pick<PictureFacts, "classNames" | "background">) {
  return [
    ["class_names", JSON.stringify(classNames)],
    ["background", background.join()],
  ] as const;
}

/**
 * The number of trained values in a checkpoint; the checkpoint of a fused model has them among its frozen
 * tensors.
 */
export function parameterCount({ trainable, frozen, properties }: Checkpoint): number {
  const settings = settingsIn(properties, "The checkpoint");
  const names = settings?.fused ? trainedNames(settings) : [...trainable.keys()];
  return names.reduce((sum, name) => sum + ((trainable.get(name) ?? frozen.get(name))?.data.length ?? 0), 0);
}

/** What an evaluation has in place of the training's random numbers, by the kind of noise. */
const meanOfNoise: Readonly<Record<Regularization, string>> = {
  "shake-shake": "alpha = 0.5",
  "shake-drop": "E[b + alpha - b alpha]",
  none: "running statistics",
};

function trainedNames(settings: ArtifactSettings): string[] {
  const parameters = networkTensors(settings).filter(({ kind }) => kind === "parameter");
  return parameters.map(({ name }) => name);
}
