import type { Checkpoint } from "../artifacts/checkpoint.ts";
import { UserError } from "../graph-builder/errors.ts";
import {
  type DatasetName,
  datasetOf,
  datasets,
  describeData,
  isDatasetName,
} from "../runtime/data/dataset.ts";
import { pixelFormats } from "../runtime/data/picture-input.ts";
import type { PictureFacts } from "../runtime/data/types.ts";
import { classNamesIn } from "./class-names.ts";
import { defaultForm, type InferenceForm } from "./inference-form.ts";
import { inferenceModel, type ModelNotes } from "./inference-model.ts";
import { networkTitle } from "./network.ts";
import { regularizationOf } from "./regularization.ts";
import { type ArtifactSettings, settingsIn } from "./settings.ts";

/** The checkpoint's property with the SHA-256 of the training images and labels. */
export const DATA_DIGEST = "data_sha256";

/**
 * The checkpoint's property of a training that began with the weights of another one: its settings alone do
 * not repeat it.
 */
export const GIVEN_WEIGHTS = "given_weights";

/** The facts of a training that its checkpoint does not hold. */
export interface Provenance {
  /** The settings of the run; those of the checkpoint's network where they are not known. */
  readonly settings?: object | undefined;
  /** The command that repeats the training, where it began with weights of its own. */
  readonly command?: string | undefined;
  /** The name of the data set. */
  readonly data?: string | undefined;
  /** What the run knows of pictures of one's own. */
  readonly pictures?: PictureFacts | undefined;
  /** In percent. */
  readonly testAccuracy?: number | undefined;
}

/** The options of an exported model. */
export interface ExportForm extends Omit<InferenceForm, "precision"> {
  readonly precision: InferenceForm["precision"] | "int8";
  readonly opset: number;
}

/** The default form of an exported model, in opset 17. */
export const defaultExport = { ...defaultForm, opset: 17 };

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

/** The documentation and metadata of an exported model. */
export function modelNotes(
  { properties }: Checkpoint,
  settings: ArtifactSettings,
  { settings: ofRun = settings, command, data, pictures, testAccuracy }: Provenance,
  form: ExportForm = defaultExport,
): ModelNotes {
  const text = (name: string) => (properties.has(name) ? String(properties.get(name)) : undefined);
  const fields: Readonly<Record<string, string | undefined>> = {
    network: networkTitle(settings),
    class_names: data ? JSON.stringify(describeData({ data, pictures }).classNames) : text("class_names"),
    settings: JSON.stringify(ofRun),
    data,
    data_sha256: text(DATA_DIGEST),
    seed: String(settings.seed),
    steps: text("step"),
    test_accuracy: testAccuracy?.toFixed(2),
    precision: form.precision,
    background: pictures?.background.join() ?? text("background"),
    "Image.BitmapPixelFormat": pixelFormats[settings.mean.length],
    command: properties.has(GIVEN_WEIGHTS) ? undefined : command,
    export_command: exportCommand(form),
  };
  const known = Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined);
  const mix = form.alphaInput ? ", alpha an input" : ", alpha = 0.5";
  const noise = regularizationOf(settings) === "shake-shake" ? mix : "";
  return {
    docString: `${networkTitle(settings)}: raw pixels 0..255 to ${form.output}${noise}`,
    metadataProps: Object.fromEntries(known),
    opset: form.opset,
  };
}

const exportFlags: Readonly<Record<keyof ExportForm, string>> = {
  input: "input",
  output: "output",
  batch: "batch",
  precision: "precision",
  alphaInput: "alpha-input",
  opset: "opset",
};

/** The command that exports in a form, undefined for the default one. */
function exportCommand(form: ExportForm): string | undefined {
  const flags = (Object.keys(exportFlags) as (keyof ExportForm)[])
    .filter((name) => form[name] !== defaultExport[name])
    .map((name) => `--${exportFlags[name]}${form[name] === true ? "" : ` ${form[name]}`}`);
  return flags.length > 0 ? ["shake export", ...flags].join(" ") : undefined;
}

/**
 * The settings that a checkpoint of ours was made with. Throws UserError for one of another program, and for
 * settings that are damaged.
 */
export function checkpointSettings({ properties }: Checkpoint, where: string): ArtifactSettings {
  const settings = settingsIn(properties, where);
  if (!settings) {
    throw new UserError(`${where} does not say which network it belongs to: it was not made by shake.`, {
      code: "network-unknown",
      details: { checkpoint: where },
    });
  }
  return settings;
}

/** The classes that a checkpoint of ours tells apart, and the data set known by name that has them. */
export interface CheckpointClasses {
  /** Undefined where the classes are those of pictures of one's own. */
  readonly data?: DatasetName | undefined;
  /** Undefined where nothing says them. */
  readonly classNames?: readonly string[] | undefined;
}

/**
 * The classes of a checkpoint by the names in it, or else by the statistics and the number of classes of its
 * network. Throws UserError as `checkpointSettings`.
 */
export function checkpointClasses(checkpoint: Checkpoint, where: string): CheckpointClasses {
  const named = checkpoint.properties.get("class_names");
  const classNames = classNamesIn(named === undefined ? {} : { class_names: String(named) });
  if (classNames.length > 0) return { classNames };
  const data = datasetOf(checkpointSettings(checkpoint, where));
  return data === undefined ? {} : { data, classNames: datasets[data].classNames };
}

/**
 * The data set that a model's metadata say it was trained on. Throws UserError where they do not, and where
 * they name pictures of somebody's own.
 */
export function trainingData({ data = "" }: Readonly<Record<string, string>>, what: string): string {
  if (isDatasetName(data)) return data;
  const known =
    data === "" ? "does not say what it was trained on" : `was trained on the pictures of ${data}`;
  throw new UserError(`${what} ${known}: give ${data === "" ? "--data" : "their folder with --data"}.`, {
    code: "data-unknown",
    details: { model: what, ...(data === "" ? {} : { data }) },
  });
}

/** The colour behind transparent pictures, by a model's metadata; undefined where they do not say it. */
export function backgroundIn({
  background = "",
}: Readonly<Record<string, string>>): readonly number[] | undefined {
  const colour = background.split(",").map(Number);
  return background !== "" && colour.every((value) => value >= 0 && value <= 255) ? colour : undefined;
}
