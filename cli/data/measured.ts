import { z } from "zod";
import { parseJson } from "../../artifacts/json.ts";
import { type DataReference, describeData, isDatasetName } from "../../runtime/data/dataset.ts";
import type { Dataset, ImageSize, PictureFacts } from "../../runtime/index.ts";
import { ownDataPath } from "../../runtime/node/data/own/own-pictures.ts";
import { datasetDigest } from "../../runtime/node/index.ts";
import { classNamesIn } from "../../shakenet/class-names.ts";
import { backgroundIn, trainingData } from "../../shakenet/provenance.ts";
import type { Progress } from "../progress.ts";
import { type DataPart, type OpenedData, openData } from "./open-data.ts";

/** What a run says of its data. */
export interface RunData extends DataReference {
  readonly dataDir?: string | undefined;
  readonly trainLimit?: number | undefined;
  readonly valSplit?: number | undefined;
  readonly splitSeed?: number | undefined;
}

/** The images that a model is to be measured on. */
export interface MeasuredChoice {
  /** What the user named: a data set, or pictures of one's own. */
  readonly given:
    | Pick<RunData, "data" | "dataDir">
    | { readonly data?: undefined; readonly dataDir?: string | undefined };
  /** The run that the model is of. */
  readonly run?: RunData | undefined;
  /** The metadata of the model, and how errors call it. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly what: string;
  /** Reads the size of the pictures that the model takes. */
  readonly size: () => Promise<ImageSize>;
  readonly limit?: number | undefined;
}

/** Images that a model is measured on, and which part of their data set they are. */
export interface MeasuredImages {
  readonly dataset: Dataset;
  readonly part: Exclude<DataPart, "train">;
}

/**
 * The images to measure a model on: the test split of a data set, or those of one's own pictures that the
 * model was not trained on. Pictures of one's own that it was not trained on at all are measured whole.
 * Nothing is downloaded that the run read from a folder. Throws UserError where the images are not known, or
 * are missing.
 */
export async function loadMeasured(choice: MeasuredChoice, progress: Progress): Promise<MeasuredImages> {
  const { given, run, metadata, what, limit } = choice;
  const named = given.data === undefined ? undefined : ((await ownDataPath(given.data)) ?? given.data);
  const data = named ?? run?.data ?? trainingData(metadata, what);
  const dataDir = given.dataDir ?? run?.dataDir;
  if (isDatasetName(data)) {
    const dataset = await (await openData({ data, dataDir }, progress)).load("test", limit);
    return { dataset, part: "test" };
  }
  const trained = trainedOn(choice);
  const pictures = await factsFor(choice);
  const opened = await openData({ ...trained, data, pictures }, progress);
  try {
    const isTrainedOn = data === run?.data || (await isTrainingData(opened, trained, metadata));
    const part = isTrainedOn || opened.own?.isDivided ? "test" : "all";
    const dataset = await opened.load(part, limit);
    const hasTest = (opened.own?.split("test").length ?? 0) > 0;
    return { dataset, part: part === "test" && !hasTest ? "validation" : part };
  } finally {
    await opened.close();
  }
}

type Division = Pick<RunData, "trainLimit" | "valSplit" | "splitSeed">;

/** How the pictures were divided in the training. */
function trainedOn({ run, metadata }: MeasuredChoice): Division {
  const { trainLimit, valSplit, splitSeed } = run ?? settingsIn(metadata);
  return { trainLimit, valSplit, splitSeed };
}

const divisionSchema = z.object({
  trainLimit: z.int().min(1).optional(),
  valSplit: z.number().min(0).max(1).optional(),
  splitSeed: z.int().min(0).optional(),
});

/** The division in a model's metadata; the default one where another program wrote them. */
function settingsIn({ settings = "{}" }: Readonly<Record<string, string>>): Division {
  try {
    return parseJson(divisionSchema, settings, { where: "settings", code: "file-damaged" });
  } catch {
    return {};
  }
}

/** Whether the training part of pictures is what a model was trained on, by its digest. */
async function isTrainingData(
  opened: OpenedData,
  { trainLimit }: Division,
  { data_sha256: digest }: Readonly<Record<string, string>>,
): Promise<boolean> {
  if (digest === undefined || opened.own?.isDivided) return false;
  return datasetDigest(await opened.load("train", trainLimit)) === digest;
}

/** What a model says of its pictures, as far as measuring needs it: it normalises them by itself. */
async function factsFor({ run, metadata, size: sizeOf }: MeasuredChoice): Promise<PictureFacts> {
  if (run?.pictures) return run.pictures;
  const names = run ? describeData(run).classNames : classNamesIn(metadata);
  const size = await sizeOf();
  const zeros = Array.from({ length: size.channels }, () => 0);
  return {
    classNames: names,
    size,
    mean: zeros,
    std: zeros,
    background: backgroundIn(metadata) ?? [255, 255, 255],
  };
}
