import { basename } from "node:path";
import { z } from "zod";
import { parseValue } from "../../artifacts/json.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { type DatasetName, describeData } from "../../runtime/data/dataset.ts";
import type { PictureFacts } from "../../runtime/index.ts";
import { replicaCount } from "../../runtime/node/run/engine-settings.ts";
import {
  checkSettings,
  type Given,
  kebabCase,
  type Settings,
  withDefaults,
} from "../../runtime/node/run/schema.ts";
import { defaultEpochs } from "../../shakenet/node/data-defaults.ts";
import { runSchemas, runSettingGroups } from "../../shakenet/node/run-config.ts";
import { pictureFactsIn } from "../../shakenet/node/run-data.ts";
import { expectTogether } from "../../shakenet/node/setting-conflicts.ts";
import type { Feeding } from "./feeding.ts";
import { feedingSchema } from "./feeding.ts";

/** What a model's input does not say of the pictures that it is fed. */
export const pictureSettings = {
  pixels: z
    .string()
    .min(1)
    .optional()
    .describe(
      "numbers that a model is fed: raw (0..255), unit (0..1), imagenet, or MEAN/STD such as 0.5/0.5 [default: raw, or what the model says]",
    ),
  imageSize: runSettingGroups.Data.imageSize,
} as const;

const { Data, Training, Machine } = runSettingGroups;
const { channels: _channels, imageSize: _imageSize, ...ofData } = Data;
const { epochs, batchSize, lastBatch, schedule, warmUp, finalRate, seed, tta } = Training;
const { evaluateEveryEpochs, patienceEpochs } = Training;
const { average, averageDecay, averageEverySteps } = Training;

/**
 * The settings of a run that trains a model that came from a file; `config.json` keeps them in this order.
 */
const modelSchemas = {
  ...ofData,
  ...pictureSettings,
  epochs,
  batchSize,
  lastBatch,
  learningRate: z.number().positive().optional(),
  schedule,
  warmUp,
  finalRate,
  average,
  averageDecay,
  averageEverySteps,
  seed,
  tta,
  evaluateEveryEpochs,
  patienceEpochs,
  ...Machine,
} as const;

export type GivenModelRun = Given<typeof modelSchemas>;

/** The settings of a model's run, complete. */
export type ModelConfig = Omit<Settings<typeof modelSchemas>, "pixels" | "imageSize"> & {
  /** The name of the model: that of the artifacts' folder. */
  readonly model: string;
  /** What the run keeps of pictures of one's own. */
  readonly pictures?: PictureFacts | undefined;
  readonly feeding: Feeding;
  readonly epochs: number;
  readonly learningRate: number;
  readonly replicas: number;
};

/** The model of a new run. */
export interface ModelOfRun {
  readonly folder: string;
  readonly feeding: Feeding;
  /** The rate that the artifacts were made with. */
  readonly learningRate: number;
  readonly isFused: boolean;
  /** Describes pictures of one's own. */
  readonly pictures?: PictureFacts | undefined;
}

/** A model from a file has learnt before, so it needs fewer passes than a new network. */
const knownEpochs: Readonly<Record<DatasetName, number>> = {
  shapes: 4,
  cifar10: 10,
  cifar100: 10,
  mnist: 5,
  "fashion-mnist": 10,
  stl10: 20,
};

/**
 * Completes the settings of a new run. Throws UserError for fewer classes than the data set has, and for
 * another batch size than a model of a fixed one takes.
 */
export function modelConfig(
  given: GivenModelRun,
  { folder, feeding, learningRate: ownRate, isFused, pictures }: ModelOfRun,
): ModelConfig {
  const { batch } = feeding;
  if (batch !== undefined && given.batchSize !== undefined && given.batchSize !== batch) {
    throw new UserError(`The model takes ${batch} pictures at a time: leave --batch-size out.`, {
      code: "setting-conflict",
      details: { batchSize: given.batchSize, batch },
    });
  }
  const { ranks = 1 } = given;
  if (batch !== undefined && ranks > 1) {
    throw new UserError(
      `The model takes ${batch} pictures at a time, so ${ranks} ranks cannot share a batch: start one.`,
      { code: "setting-conflict", details: { batch, ranks } },
    );
  }
  // neither a fused update nor a fixed batch can be shared
  const alone = isFused || batch !== undefined ? { replicas: 1 } : {};
  const sized = batch === undefined ? {} : { batchSize: batch };
  const {
    pixels: _,
    imageSize: __,
    ...settings
  } = withDefaults(modelSchemas, { ...alone, ...given, ...sized });
  const { data, learningRate = ownRate } = settings;
  const { epochs: count = defaultEpochs(data, knownEpochs) } = settings;
  expectClasses(feeding, describeData({ data, pictures }));
  expectTogether(settings);
  return {
    model: basename(folder),
    feeding,
    ...settings,
    epochs: count,
    learningRate,
    replicas: replicaCount(settings),
    ...(pictures ? { pictures } : {}),
  };
}

function expectClasses(
  { classes }: Feeding,
  { title, classNames }: Pick<ReturnType<typeof describeData>, "title" | "classNames">,
): void {
  if (classes >= classNames.length) return;
  throw new UserError(
    `The model has ${classes} classes, and ${title} has ${classNames.length}: shake build-graph --classes ${classNames.length} replaces the last layer.`,
    { code: "data-mismatch", details: { classes, data: title } },
  );
}

/** The settings of a resumed run, of which some have changed. */
export function changedModelConfig(
  config: ModelConfig,
  { pixels: _, imageSize: __, ...changed }: GivenModelRun,
): ModelConfig {
  const { model, feeding, learningRate, pictures, ...own } = config;
  const given = { ...own, learningRate, ...changed };
  return { ...modelConfig(given, { folder: model, feeding, learningRate, isFused: false, pictures }), model };
}

/** Whether the settings in a `config.json` are those of a model's run. */
export function isModelConfig(raw: Readonly<Record<string, unknown>>): boolean {
  return "feeding" in raw;
}

/** What every model run's `config.json` has. */
const ownSchema = z.object({ model: z.string(), feeding: feedingSchema, learningRate: z.number() });

/** The settings in a model run's `config.json`. Throws UserError, naming the file, for a wrong one. */
export function modelConfigIn(raw: Readonly<Record<string, unknown>>, file: string): ModelConfig {
  const { model: _, feeding: __, pictures: facts, ...settings } = raw;
  const { model, feeding, learningRate } = parseValue(ownSchema, raw, { where: file, code: "file-damaged" });
  const label = (key: string) => `${key} in ${file}`;
  const given = checkSettings(modelSchemas, settings, { label, what: "a setting of a run" });
  const pictures = pictureFactsIn(facts, file);
  const ofRun = { folder: model, feeding, learningRate, isFused: false, pictures };
  return { ...modelConfig(given, ofRun), model };
}

/**
 * The settings that a model's run takes, of those given. Throws UserError for one of a ShakeNet alone, or one
 * that the artifacts have decided.
 */
export function givenForModel(given: Readonly<Record<string, unknown>>, folder: string): GivenModelRun {
  const { Network } = runSettingGroups;
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(runSchemas, name) || Object.hasOwn(modelSchemas, name)) continue;
    const isShakeNets = Object.hasOwn(Network, name) || /^(recipe|forward|backward|level|shake)/.test(name);
    const reason = isShakeNets
      ? `is for shake's own networks, and ${folder} holds a model that came from a file`
      : `is decided when artifacts are made, and ${folder} holds them`;
    throw new UserError(`--${kebabCase(name)} ${reason}: leave it out.`, {
      code: "setting-conflict",
      details: { setting: name, folder },
    });
  }
  const own = Object.entries(given).filter(([name]) => Object.hasOwn(modelSchemas, name));
  return checkSettings(modelSchemas, Object.fromEntries(own), {
    label: (key) => `--${kebabCase(key)}`,
    what: "a setting of a run",
  });
}
