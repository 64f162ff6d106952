import type { Checkpoint } from "../artifacts/index.ts";
import { UserError } from "../graph-builder/index.ts";
import { type DatasetName, datasets } from "../runtime/data/dataset.ts";
import {
  type ArtifactSettings,
  defaultForm,
  type InferenceForm,
  inferenceModel,
  type ModelNotes,
  networkName,
} from "../shakenet/index.ts";
import { reproducingCommand } from "./run-directory.ts";
import { kebabCase, placeSettings, type RunConfig, type RunSettingName } from "./settings.ts";

/** The checkpoint's property with the SHA-256 of the training images and labels. */
export const DATA_DIGEST = "data_sha256";

/** What is known of a training beside its checkpoint. */
export interface Provenance {
  readonly config?: RunConfig | undefined;
  readonly data?: DatasetName | undefined;
  /** In percent. */
  readonly testAccuracy?: number | undefined;
}

/** What a frozen model can be made like. */
export interface ExportForm extends Omit<InferenceForm, "precision"> {
  readonly precision: InferenceForm["precision"] | "int8";
  readonly opset: number;
}

const defaultExport = { ...defaultForm, opset: 17 };

/** A checkpoint as one plain .onnx with its provenance; the same training always gives the same bytes. */
export function frozenModel(
  checkpoint: Checkpoint,
  where: string,
  about: Provenance = {},
  form: InferenceForm & { readonly opset: number } = defaultExport,
): Uint8Array {
  const settings = checkpointSettings(checkpoint, where);
  return inferenceModel(settings, checkpoint, modelNotes(checkpoint, settings, about, form), form);
}

/** What a frozen model says of itself. */
export function modelNotes(
  { properties }: Checkpoint,
  settings: ArtifactSettings,
  { config, data = config?.data, testAccuracy }: Provenance,
  form: ExportForm,
): ModelNotes {
  const text = (name: string) => (properties.has(name) ? String(properties.get(name)) : undefined);
  const flags = (Object.keys(defaultExport) as (keyof ExportForm)[])
    .filter((name) => form[name] !== defaultExport[name])
    .map((name) => (form[name] === true ? `--${kebabCase(name)}` : `--${kebabCase(name)} ${form[name]}`));
  const fields: Readonly<Record<string, string | undefined>> = {
    network: `ShakeNet ${networkName(settings)}`,
    class_names: data && JSON.stringify(datasets[data].classNames),
    settings: JSON.stringify(config ? withoutPlace(config) : settings),
    data,
    data_sha256: text(DATA_DIGEST),
    seed: String(settings.seed),
    steps: text("step"),
    test_accuracy: testAccuracy?.toFixed(2),
    precision: form.precision,
    command: config && reproducingCommand(config),
    export_command: flags.length > 0 ? ["shake export", ...flags].join(" ") : undefined,
  };
  const known = Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const mix = form.alphaInput ? "alpha an input" : "alpha = 0.5";
  return {
    docString: `ShakeNet ${networkName(settings)}: raw pixels 0..255 to ${form.output}, ${mix}`,
    metadataProps: Object.fromEntries(known),
    opset: form.opset,
  };
}

/** The settings that a checkpoint of ours was made with. Throws UserError for one of another program. */
export function checkpointSettings({ properties }: Checkpoint, where: string): ArtifactSettings {
  const settings = properties.get("settings");
  if (typeof settings !== "string") {
    throw new UserError(`${where} does not say which network it is of: it was not made by shake.`);
  }
  return JSON.parse(settings) as ArtifactSettings;
}

/** The data set that a model's metadata say it was trained on. Throws UserError where they do not. */
export function trainingData({ data = "" }: Readonly<Record<string, string>>, what: string): DatasetName {
  if (Object.hasOwn(datasets, data)) return data as DatasetName;
  throw new UserError(`${what} does not say what it was trained on: give --data.`);
}

/** The settings that say what was trained, without those that say where. */
function withoutPlace(config: RunConfig): Partial<RunConfig> {
  const kept = Object.entries(config).filter(([name]) => !placeSettings.includes(name as RunSettingName));
  return Object.fromEntries(kept);
}
