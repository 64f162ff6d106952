import { resolve } from "node:path";
import { readFileBytes } from "../../artifacts/index.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { describeData, isDatasetName } from "../../runtime/data/dataset.ts";
import { channelStatistics, type Dataset, type ImageSize, type PictureFacts } from "../../runtime/index.ts";
import { classesOf } from "../../runtime/node/data/own/division.ts";
import { type ListedPictures, listPictures, OwnPictures } from "../../runtime/node/index.ts";
import { kebabCase } from "../../runtime/node/run/schema.ts";
import type { GivenRun } from "../../shakenet/node/run-config.ts";
import { formatLarge } from "../format.ts";
import { loadData } from "../load-data.ts";
import type { Progress } from "../progress.ts";

/**
 * The part of a data set. A data set that is known by name has two parts, and all but `train` are its test
 * split. Where one's own pictures have no folder `test`, that is the validation.
 */
export type DataPart = "train" | "validation" | "test" | "all";

/** A data set that a command has opened. */
export interface OpenedData {
  /** The pictures of one's own; undefined for a data set that is known by name. */
  readonly own: OwnPictures | undefined;
  /** Reads a part, or its first `limit` images. */
  load(part: DataPart, limit?: number): Promise<Dataset>;
  close(): Promise<void>;
}

/** Which data set to open. */
export interface DataChoice {
  /** The name of a data set, or the path of one's own pictures. */
  readonly data: string;
  readonly dataDir?: string | undefined;
  /**
   * What a run or a model knows of one's own pictures; where it names no classes, they are those of the
   * folders.
   */
  readonly pictures?: PictureFacts | undefined;
  readonly valSplit?: number | undefined;
  readonly splitSeed?: number | undefined;
}

const defaults = { valSplit: 0.1, splitSeed: 0 } as const;

/** Opens the data set of a run or of a model, and shows the progress of a download and of decoding. */
export async function openData(choice: DataChoice, progress: Progress): Promise<OpenedData> {
  const { pictures } = choice;
  if (!pictures) return openKnown(choice, progress);
  const { size, classNames, background } = pictures;
  const listing = await listPictures(choice.data);
  const known = classNames.length > 0 ? classNames : undefined;
  const own = await openOwn(listing, { ...choice, size, classNames: known, background }, progress);
  own.expectReadable();
  return openedPictures(own, { ...choice, pictures });
}

function openKnown({ data, dataDir }: DataChoice, progress: Progress): OpenedData {
  const { title } = describeData({ data });
  return {
    own: undefined,
    load: async (part, limit) => {
      if (!isDatasetName(data)) throw new Error(`${data} is no known data set`);
      try {
        return await loadData(data, {
          split: part === "train" ? "train" : "test",
          limit,
          dataDir,
          onProgress: (received, total) =>
            progress.update(received, total, `${title}: ${formatLarge(received)}B of ${formatLarge(total)}B`),
        });
      } finally {
        progress.stop();
      }
    },
    close: async () => {},
  };
}

interface OwnOptions extends Pick<DataChoice, "valSplit" | "splitSeed"> {
  readonly size: ImageSize;
  readonly classNames?: readonly string[] | undefined;
  readonly background?: readonly number[] | undefined;
}

async function openOwn(
  listing: ListedPictures,
  { size, classNames, background, ...division }: OwnOptions,
  progress: Progress,
): Promise<OwnPictures> {
  const { valSplit = defaults.valSplit, splitSeed = defaults.splitSeed } = division;
  try {
    return await OwnPictures.open(listing, {
      size,
      classNames,
      background,
      valSplit,
      splitSeed,
      onCompared: (done, of) => progress.update(done, of, `looking at pictures: ${done} of ${of}`),
      onProgress: (done, of) => progress.update(done, of, `reading pictures: ${done} of ${of}`),
    });
  } finally {
    progress.stop();
  }
}

function openedPictures(
  own: OwnPictures,
  reference: { readonly data: string; readonly pictures: PictureFacts },
  trainSet?: Dataset,
): OpenedData {
  const { title, size, mean, std } = describeData(reference);
  const { classNames } = own;
  return {
    own,
    load: async (part, limit) => {
      if (part === "train" && trainSet && trainSet.count === (limit ?? own.split("train").length))
        return trainSet;
      const hasTest = own.split("test").length > 0;
      const split = {
        train: "train",
        validation: "val",
        test: hasTest ? "test" : "val",
        all: undefined,
      } as const;
      const loaded = await own.load(split[part], limit);
      const paths = part === "train" ? undefined : own.split(split[part]).map(({ name }) => name);
      return { name: title, classNames, size, mean, std, ...loaded, count: loaded.labels.length, paths };
    },
    close: () => own.close(),
  };
}

/** Pictures of one's own that a new run is made for. */
export interface NewPictures {
  readonly facts: PictureFacts;
  readonly data: OpenedData;
  /** The number of training pictures. */
  readonly count: number;
}

/** The settings of a new run that say how its pictures are read. */
export type PictureChoice = Pick<GivenRun, "valSplit" | "splitSeed" | "classMap" | "trainLimit">;

/** Opens pictures in a size. Throws UserError for classes that do not fit. */
export async function openPictures(
  path: string,
  size: ImageSize,
  choice: PictureChoice,
  progress: Progress,
): Promise<OwnPictures> {
  const listing = await listPictures(path);
  const classNames = choice.classMap === undefined ? undefined : await readClassMap(choice.classMap);
  return openOwn(listing, { ...choice, size, classNames }, progress);
}

/**
 * Opens pictures for a new run and measures what its network is built for: classes, mean and standard
 * deviation of the training pictures. Throws UserError where a classifier cannot be trained on them.
 */
export async function openNewPictures(
  path: string,
  size: ImageSize,
  choice: PictureChoice,
  progress: Progress,
): Promise<NewPictures> {
  const own = await openPictures(path, size, choice, progress);
  own.expectTrainable();
  const { trainLimit } = choice;
  const loaded = await own.load("train", trainLimit);
  const statistics = channelStatistics(loaded.images, size);
  const facts = { classNames: own.classNames, size, ...statistics, background: own.background };
  const { title } = describeData({ data: path, pictures: facts });
  const trainSet: Dataset = { name: title, ...facts, ...loaded, count: loaded.labels.length };
  const data = openedPictures(own, { data: path, pictures: facts }, trainSet);
  return { facts, data, count: trainSet.count };
}

/** The names of the classes of one's own pictures, which are not decoded. */
export async function readClasses(path: string, classMap: string | undefined): Promise<readonly string[]> {
  const known = classMap === undefined ? undefined : await readClassMap(classMap);
  return classesOf(await listPictures(path), path, known);
}

/** The names of the classes in a file: line n is class n. */
async function readClassMap(file: string): Promise<readonly string[]> {
  const text = new TextDecoder().decode(await readFileBytes(file));
  const names = text.split(/\r?\n/).map((line) => line.trim());
  while (names.at(-1) === "") names.pop();
  const twice = names.find((name, i) => name === "" || names.indexOf(name) !== i);
  if (twice === undefined && names.length > 0) return names;
  const fault = twice === undefined || twice === "" ? "has a line without a name" : `names ${twice} twice`;
  throw new UserError(`${file} ${fault}: line n must be the name of class n.`, {
    code: "data-invalid",
    details: { path: file },
  });
}

const ownSettings = ["channels", "valSplit", "splitSeed", "classMap"] as const;

/** Throws UserError for a setting of one's own pictures beside a data set that is known by name. */
export function refuseOwnSettings(
  given: Partial<Pick<GivenRun, (typeof ownSettings)[number]>>,
  data: string,
): void {
  const setting = ownSettings.find((name) => given[name] !== undefined);
  if (setting === undefined) return;
  throw new UserError(`--${kebabCase(setting)} is for pictures of one's own, and --data is ${data}.`, {
    code: "setting-conflict",
    details: { setting },
  });
}

/** Paths that a run keeps, made absolute, so that another folder finds them. */
export function absolutePaths<G extends Pick<GivenRun, "dataDir" | "classMap">>(given: G): G {
  const { dataDir, classMap } = given;
  return {
    ...given,
    ...(dataDir === undefined ? {} : { dataDir: resolve(dataDir) }),
    ...(classMap === undefined ? {} : { classMap: resolve(classMap) }),
  };
}
