import { z } from "zod";
import { UserError } from "../../graph-builder/errors.ts";
import { stepPrecisions } from "../../graph-builder/passes/fused-step/precision.ts";
import { borders, flips } from "../../runtime/data/augmentation.ts";
import { lastBatches } from "../../runtime/data/batches.ts";
import { datasetNames, describeData } from "../../runtime/data/dataset.ts";
import type { PictureFacts } from "../../runtime/data/types.ts";
import { deviceNames } from "../../runtime/device/names.ts";
import { averageKinds } from "../../runtime/loop/averaging.ts";
import { scheduleShapes } from "../../runtime/loop/schedule.ts";
import { engineNames, replicaCount } from "../../runtime/node/run/engine-settings.ts";
import { checkSettings, type Given, type Settings, withDefaults } from "../../runtime/node/run/schema.ts";
import type { NetworkSettings } from "../network.ts";
import { paperSettings } from "../paper-settings.ts";
import { completeNoise } from "../regularization.ts";
import { type ArtifactSettings, optimizers, type Target } from "../settings.ts";
import { defaultEpochs } from "./data-defaults.ts";
import { type EarlierSettings, earlierSettingsIn } from "./earlier-settings.ts";
import { mixingOf } from "./loop-settings.ts";
import { networkSettings, noiseSettings } from "./network-settings.ts";
import { recipeNames } from "./recipes.ts";
import { pictureChannels, pictureFactsIn } from "./run-data.ts";
import { expectTogether } from "./setting-conflicts.ts";

const count = z.int().min(1);
const path = z.string().min(1);
const share = z.number().min(0).max(1);

/** The settings of a run by subject: type, default, choices and help. */
export const runSettingGroups = {
  Network: networkSettings,
  Data: {
    data: path
      .default("shapes")
      .describe(
        `name of a data set (${datasetNames.join(", ")}), or a folder of pictures, FOLDER/<class>/*, a .zip or .tar of one, or a .csv of path,label`,
      ),
    imageSize: count
      .optional()
      .describe("side of the pictures that a model of any size is fed, in pixels [default: 64 for a folder]"),
    channels: z
      .enum(pictureChannels)
      .optional()
      .describe("channels of one's own pictures: colours, grey, or colours with alpha [default: rgb]"),
    valSplit: z
      .number()
      .min(0)
      .lt(1)
      .optional()
      .describe("share of one's own pictures to hold out where there is no folder val [default: 0.1]"),
    splitSeed: z.int().min(0).optional().describe("seed of the pictures that are held out [default: 0]"),
    classMap: path.optional().describe("file whose line n is the name of class n [default: sorted names]"),
    dataDir: path
      .optional()
      .describe("folder with the files of a known data set [default: download once and cache]"),
    trainLimit: count.optional().describe("use only the first N training images"),
    testLimit: count.optional().describe("use only the first N test images"),
    flip: z
      .enum(flips)
      .optional()
      .describe("mirror images: at random, each in every second epoch, or none [default: random]"),
    translate: z
      .int()
      .min(0)
      .max(16)
      .optional()
      .describe("largest shift of an image along each axis, in pixels [default: 4]"),
    border: z
      .enum(borders)
      .optional()
      .describe("what fills the border of a moved image: the mean colour, or its reflection [default: mean]"),
    cutout: z
      .int()
      .min(0)
      .optional()
      .describe("side of a square of each image that is blanked, in pixels [default: 0]"),
    mixup: z
      .number()
      .positive()
      .optional()
      .describe("blend training images in pairs; the share is drawn from Beta(ALPHA, ALPHA) [default: off]"),
    cutmix: z
      .number()
      .positive()
      .optional()
      .describe("put boxes of images into others; the area is drawn from Beta(ALPHA, ALPHA) [default: off]"),
    earlySize: z
      .int()
      .min(8)
      .optional()
      .describe("side of the training images in the first part of the run, in pixels [default: that of all]"),
    earlyShare: share.optional().describe("share of the epochs with images of --early-size [default: 0.5]"),
  },
  Training: {
    recipe: z
      .enum(recipeNames)
      .optional()
      .describe(
        "named set of settings, which others override: the paper's on CIFAR-10, or one for short runs",
      ),
    epochs: count
      .optional()
      .describe(
        "passes over the training images [default: 4 for shapes, 1800 for CIFAR, 30 to 100 for a folder; fewer for a model from a file]",
      ),
    batchSize: count
      .max(65_536)
      .default(64)
      .describe("images per step; for a folder the default is 8 to 64, by the number of its pictures"),
    lastBatch: z
      .enum(lastBatches)
      .optional()
      .describe(
        "images that do not fill a batch: a smaller last one, or spread over all of the epoch [default: smaller; spread for a folder]",
      ),
    learningRate: z
      .number()
      .positive()
      .default(0.1)
      .describe("highest learning rate; --schedule says how it falls"),
    schedule: z.enum(scheduleShapes).optional().describe("how the learning rate falls [default: cosine]"),
    warmUp: share.optional().describe("share of the run in which the learning rate rises [default: 0]"),
    finalRate: share.optional().describe("last learning rate as a share of the highest one [default: 0]"),
    weightDecay: z.number().min(0).default(1e-4).describe("weight decay of every parameter"),
    normDecay: z
      .number()
      .min(0)
      .optional()
      .describe("weight decay of batch normalisation's scales and biases [default: that of every parameter]"),
    biasRate: z
      .number()
      .positive()
      .optional()
      .describe("factor of the learning rate of batch normalisation's biases [default: 1]"),
    clipNorm: z
      .number()
      .positive()
      .optional()
      .describe("gradients of a larger norm, over all parameters, are scaled to it [default: no limit]"),
    momentum: z
      .number()
      .min(0)
      .lt(1)
      .default(0.9)
      .describe("momentum of sgd-nesterov, sgd-momentum and muon"),
    sgdRate: z
      .number()
      .positive()
      .optional()
      .describe("with muon: factor of the learning rate of the last layer and of vectors [default: 1]"),
    sgdDecay: z
      .number()
      .min(0)
      .optional()
      .describe(
        "with muon: weight decay of the last layer and of vectors [default: --weight-decay over --sgd-rate]",
      ),
    labelSmoothing: z
      .number()
      .min(0)
      .lt(1)
      .optional()
      .describe("share of each label that is spread evenly over the classes [default: 0]"),
    average: z
      .enum(averageKinds)
      .optional()
      .describe(
        "average the weights, and test and export the averages: ema, a moving average, or lookahead [default: none]",
      ),
    averageDecay: z
      .number()
      .min(0)
      .lt(1)
      .optional()
      .describe(
        "share of the old average in the new one, a step [default: 0.998 for ema, 0.95 for lookahead]",
      ),
    averageEverySteps: count.optional().describe("steps between two updates of the averages [default: 5]"),
    optimizer: z.enum(optimizers).default("sgd-nesterov").describe("update rule"),
    ...noiseSettings,
    seed: z.int().min(0).default(1).describe("random seed"),
    tta: z
      .boolean()
      .optional()
      .describe("test-time augmentation: also evaluate with mirrored images, reported apart"),
    evaluateEveryEpochs: count
      .optional()
      .describe("evaluate every N epochs, and after the last [default: 1]"),
    patienceEpochs: count
      .optional()
      .describe("end the run after N epochs without a better accuracy [default: train all epochs]"),
  },
  Machine: {
    engine: z
      .enum(engineNames)
      .default("onnxruntime")
      .describe("what trains: today's ONNX Runtime, or the training session of version 1.19.2 (CPU only)"),
    device: z.enum(deviceNames).default("cpu").describe("device that computes"),
    threads: count
      .max(1024)
      .optional()
      .describe("CPU threads per session [default: all cores; 1 with replicas]"),
    replicas: z
      .union([z.literal("auto"), count])
      .default("auto")
      .describe("sessions that share each batch on the CPU; auto: one per core, of 64 images or more"),
    ranks: count
      .optional()
      .describe(
        "number of processes that share each batch over MPI; another number is refused [default: those of mpirun or srun]",
      ),
    precision: z
      .enum(stepPrecisions)
      .optional()
      .describe(
        "type of forward and backward; weights are float32. mixed: float16 with a loss scale; bfloat16: on cuda [default: float32]",
      ),
    stepsPerCall: count
      .max(1024)
      .optional()
      .describe("steps in one call of the device, on cpu, cuda and wasm [default: several calls a step]"),
    checkpointEverySteps: count.default(200).describe("save a checkpoint every N steps"),
    saveEvery: count
      .optional()
      .describe(
        "keep the checkpoint of every Nth epoch, as checkpoints/epoch-N [default: none; 1 with --checkpoint-hist]",
      ),
    checkpointHist: count
      .optional()
      .describe("how many of those checkpoints are kept, the newest ones [default: all]"),
    tensorboard: z
      .boolean()
      .optional()
      .describe("write event files for TensorBoard into the run's folder tensorboard"),
  },
} as const;

/** The settings of a run, which `config.json` keeps in this order. */
export const runSchemas = {
  ...runSettingGroups.Network,
  ...runSettingGroups.Data,
  ...runSettingGroups.Training,
  ...runSettingGroups.Machine,
} as const;

export type RunSettingName = keyof typeof runSchemas;

/** The settings of a run that the user gave. */
export type GivenRun = Given<typeof runSchemas>;

/** The settings of the machine and the folders, not of the computation. A resumed run may change them. */
export const placeSettings: readonly RunSettingName[] = [
  "dataDir",
  "engine",
  "device",
  "threads",
  "stepsPerCall",
  "checkpointEverySteps",
  "saveEvery",
  "checkpointHist",
  "tensorboard",
];

/** The settings of a run, complete. */
export type RunConfig = Settings<typeof runSchemas> & {
  /** What the run keeps of pictures of one's own. */
  readonly pictures?: PictureFacts | undefined;
  /** What the settings were before a resume changed them, the oldest first. */
  readonly earlier?: readonly EarlierSettings[] | undefined;
  readonly classes: number;
  readonly epochs: number;
  readonly replicas: number;
};

/**
 * Completes the settings of a run with the defaults, some of which depend on the data set and on this
 * machine. `pictures` describes one's own. Throws UserError for fewer classes than the data set has, and for
 * settings that do not go together.
 */
export function runConfig(given: GivenRun, pictures?: PictureFacts): RunConfig {
  const settings = withDefaults(runSchemas, given);
  const { data } = settings;
  const { title, classNames } = describeData({ data, pictures });
  const { classes = classNames.length, epochs = defaultEpochs(data) } = settings;
  if (classes < classNames.length) {
    throw new UserError(`--classes ${classes} is too few: ${title} has ${classNames.length}.`, {
      code: "setting-conflict",
      details: { classes, data },
    });
  }
  expectTogether(settings);
  const complete = {
    ...settings,
    ...completeNoise(settings),
    classes,
    epochs,
    replicas: replicaCount(settings),
  };
  return pictures ? { ...complete, pictures } : complete;
}

/**
 * The settings in a run's `config.json`. Throws UserError, naming the file, for an unknown name or a wrong
 * value.
 */
export function runConfigIn(raw: Readonly<Record<string, unknown>>, file: string): RunConfig {
  const label = (key: string) => `${key} in ${file}`;
  const { pictures, earlier: before, ...settings } = raw;
  const config = runConfig(
    checkSettings(runSchemas, settings, { label, what: "a setting of a run" }),
    pictureFactsIn(pictures, file),
  );
  const earlier = earlierSettingsIn(before, file);
  return earlier ? { ...config, earlier } : config;
}

/** What the training artifacts of a run are built from. */
export function artifactSettings(config: RunConfig, target: Target, fused = false): ArtifactSettings {
  const { mean, std, size } = describeData(config);
  const imageSize = size.height === 32 ? undefined : size.height;
  const { network, depth, width, classes, optimizer, momentum, weightDecay, seed, ...more } =
    compiledSettings(config);
  const own = {
    network,
    depth,
    width,
    classes,
    imageSize,
    mean,
    std,
    target,
    optimizer,
    fused,
    momentum,
    weightDecay,
    seed,
    ...more,
  };
  return {
    ...own,
    ...(config.earlySize === undefined ? {} : { anySize: true }),
    ...(mixingOf(config) ? { softLabels: true } : {}),
  };
}

/** The settings of a network that its weights depend on. */
export function networkOf(settings: WeightSettings): WeightSettings {
  const { network, depth, width, alpha, regularization, survival } = settings;
  const { stem, stemStride, downsampling, activation, outputScale } = settings;
  const size = { network, depth, width, alpha, regularization, survival };
  return { ...size, stem, stemStride, downsampling, activation, outputScale };
}

type WeightSettings = Omit<NetworkSettings, "classes" | "imageSize" | "mean" | "std" | "initialization">;

/** The settings of a run that its training artifacts were built from, and have in their manifest. */
export function compiledSettings(settings: CompiledSettings): CompiledSettings {
  const { classes, optimizer, momentum, weightDecay, seed, initialization } = settings;
  const { normDecay, biasRate, clipNorm, labelSmoothing } = settings;
  const { sgdRate, sgdDecay } = settings;
  return {
    ...networkOf(settings),
    classes,
    optimizer,
    momentum,
    weightDecay,
    seed,
    initialization,
    normDecay,
    biasRate,
    clipNorm,
    labelSmoothing,
    sgdRate,
    sgdDecay,
  };
}

type CompiledSettings = Omit<
  ArtifactSettings,
  "imageSize" | "mean" | "std" | "target" | "fused" | "anySize" | "softLabels"
>;

/** The value of a setting of a run. A setting that the run does not say has the paper's value. */
export function settingOf(config: GivenRun, name: string): unknown {
  const values: Readonly<Record<string, unknown>> = config;
  const paper: Readonly<Record<string, unknown>> = paperSettings;
  return values[name] ?? paper[name];
}

/** The settings of the computation, without those of the machine and the folders. */
export function withoutPlace(config: object): Readonly<Record<string, unknown>> {
  const places: readonly string[] = placeSettings;
  return Object.fromEntries(Object.entries(config).filter(([name]) => !places.includes(name)));
}
