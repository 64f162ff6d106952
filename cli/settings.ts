import { availableParallelism } from "node:os";
import { z } from "zod";
import { didYouMean, UserError } from "../graph-builder/errors.ts";
import { type DatasetName, datasets } from "../runtime/data/dataset.ts";
import { deviceNames } from "../runtime/device/lowerings.ts";
import { defaultForm, inputForms, outputForms } from "../shakenet/inference-form.ts";
import { type ArtifactSettings, optimizers, type Target, targets } from "../shakenet/settings.ts";

const count = z.int().min(1);
const path = z.string().min(1);
const datasetNames = Object.keys(datasets) as [DatasetName, ...DatasetName[]];

/** Every setting of every command: its type, default, choices and help. Flags, config files and their echo follow from it. */
export const settingGroups = {
  Network: {
    depth: z.int().min(8).default(8).describe("layers, 6n + 2: 8, 14, 20, 26, ..."),
    width: count.default(16).describe("channels of the first stage"),
    classes: count.optional().describe("outputs of the network [default: those of the data set]"),
  },
  Data: {
    data: z.enum(datasetNames).default("shapes").describe("data set"),
    dataDir: path.optional().describe("folder of CIFAR's .bin files [default: downloaded and cached]"),
    trainLimit: count.optional().describe("train on the first so many images"),
    testLimit: count.optional().describe("test on the first so many images"),
  },
  Training: {
    epochs: count.optional().describe("passes over the images [default: 4 for shapes, 1800 for CIFAR]"),
    batchSize: count.max(65_536).default(64).describe("images of a step"),
    learningRate: z.number().positive().default(0.1).describe("peak rate; falls to 0 along a cosine"),
    weightDecay: z.number().min(0).default(1e-4).describe("decay of every parameter"),
    momentum: z.number().min(0).lt(1).default(0.9).describe("Nesterov momentum"),
    optimizer: z.enum(optimizers).default("sgd-nesterov").describe("update rule"),
    forward: z.enum(["shake", "even"]).default("shake").describe("mix of the branches, forward"),
    backward: z.enum(["shake", "even", "keep"]).default("shake").describe("mix of the branches, backward"),
    level: z.enum(["image", "batch"]).default("image").describe("what shares a mix"),
    seed: z.int().min(0).default(1).describe("of weights, order, crops, flips and mixes"),
  },
  Machine: {
    engine: z
      .enum(["onnxruntime", "ort-training"])
      .default("onnxruntime")
      .describe("what trains: today's ONNX Runtime, or 1.19.2's own TrainingSession (CPU)"),
    device: z.enum(deviceNames).default("cpu").describe("where the steps run"),
    threads: count.optional().describe("threads of the CPU's operators [default: all cores; 1 a replica]"),
    replicas: z
      .union([z.literal("auto"), count])
      .default("auto")
      .describe("sessions that share every batch on the CPU; auto is one a core, of 64 images or more"),
    checkpointEverySteps: count.default(200).describe("steps between two checkpoints"),
  },
  Model: {
    input: z.enum(inputForms).default(defaultForm.input).describe("how the model takes raw pixels 0..255"),
    output: z.enum(outputForms).default(defaultForm.output).describe("what it returns"),
    opset: z.int().min(11).max(21).default(17).describe("version of ONNX's operators"),
    batch: z
      .union([z.literal("dynamic"), count])
      .default(defaultForm.batch)
      .describe("images of every run, or any number"),
    precision: z
      .enum(["float32", "float16", "int8"])
      .default("float32")
      .describe("of weights and arithmetic; int8 is calibrated on training images"),
    alphaInput: z.boolean().default(false).describe("keep the branches' mix as an input; they stay apart"),
    calibrationImages: count.default(512).describe("training images that int8 is calibrated on"),
  },
  Files: {
    file: path.optional().describe("model, checkpoint, run folder or artifacts folder"),
    source: path.optional().describe("run folder or checkpoint"),
    runDir: path.optional().describe("folder of the run [default: runs/<network>-<data>-s<seed>]"),
    resume: z.string().optional().describe("go on with this run, from its last checkpoint"),
    artifacts: path.optional().describe("folder that build-graph wrote [default: the graph is built]"),
    target: z.enum(targets).default("ort-training").describe("operators of the training model"),
    fused: z.boolean().default(false).describe("put the optimizer's update into the training model"),
    out: path.optional().describe("where to write"),
    run: path.optional().describe("run folder"),
    model: path.optional().describe("frozen .onnx model"),
    against: path.optional().describe("checkpoint of the same training"),
    pictures: z.array(path).optional().describe("PNG or JPEG files, of any size"),
    checkpoint: z.enum(["last", "best"]).default("last").describe("checkpoint of the run"),
    config: path.optional().describe("JSON file of settings; flags win over it"),
  },
  Benchmark: {
    steps: count.default(10).describe("steps that are timed"),
    warmup: z.int().min(0).default(3).describe("steps before them"),
    lowering: z
      .enum(["cpu", "portable"])
      .optional()
      .describe("how training operators are done [default: the device's own way]"),
    profile: z.boolean().default(false).describe("say where the time goes, operator by operator"),
  },
  Output: {
    json: z.boolean().default(false).describe("print one JSON object on stdout"),
    graph: z.boolean().default(false).describe("print the graph in ONNX's textual syntax"),
  },
} as const;

const schemas = Object.assign({}, ...Object.values(settingGroups)) as Schemas;

type Groups = typeof settingGroups;
type Schemas = Groups["Network"] &
  Groups["Data"] &
  Groups["Training"] &
  Groups["Machine"] &
  Groups["Model"] &
  Groups["Files"] &
  Groups["Benchmark"] &
  Groups["Output"];

export type SettingName = keyof Schemas;

/** Settings with every default filled in. */
export type Settings<K extends SettingName = SettingName> = { readonly [N in K]: z.output<Schemas[N]> };

/** Only what the user said. */
export type GivenSettings<K extends SettingName = SettingName> = {
  readonly [N in K]?: NonNullable<z.output<Schemas[N]>> | undefined;
};

/** The names of some groups' settings. */
export function settingsOf<G extends keyof Groups>(...groups: readonly G[]): SettingNamesOf<G>[] {
  return groups.flatMap((group) => Object.keys(settingGroups[group])) as SettingNamesOf<G>[];
}

type SettingNamesOf<G extends keyof Groups> = { [P in G]: keyof Groups[P] }[G] & SettingName;

/** A setting as help and messages speak of it. */
export interface SettingInfo {
  readonly flag: string;
  readonly group: string;
  readonly help: string;
  readonly isSwitch: boolean;
  readonly isNumber: boolean;
  readonly choices: readonly string[] | undefined;
  readonly default: string | undefined;
  /** What a value must be: "a whole number from 1". */
  readonly expectation: string;
}

/** What is declared of a setting. */
export function describeSetting(name: SettingName): SettingInfo {
  const schema = z.toJSONSchema(schemas[name], { io: "input" });
  const group = Object.entries(settingGroups).find(([, members]) => name in members)?.[0] ?? "";
  return {
    flag: kebabCase(name),
    group,
    help: schema.description ?? "",
    isSwitch: schema.type === "boolean",
    isNumber: [schema, ...(schema.anyOf ?? [])].some(({ type }) => type === "integer" || type === "number"),
    choices: schema.enum as string[] | undefined,
    default: schema.default === undefined ? undefined : String(schema.default),
    expectation: expectationOf(schema),
  };
}

function expectationOf({
  type,
  anyOf,
  const: only,
  enum: choices,
  minimum,
  exclusiveMinimum,
  exclusiveMaximum,
  maximum,
}: z.core.JSONSchema.BaseSchema): string {
  if (anyOf) return anyOf.map(expectationOf).join(" or ");
  if (only !== undefined) return String(only);
  if (choices) return `one of ${choices.join(", ")}`;
  if (type === "boolean") return "true or false";
  if (type === "string") return "a text";
  const from = exclusiveMinimum === undefined ? `from ${minimum}` : `above ${exclusiveMinimum}`;
  const top = maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER ? ` to ${maximum}` : "";
  const below = exclusiveMaximum === undefined ? "" : ` and below ${exclusiveMaximum}`;
  return `${type === "integer" ? "a whole number" : "a number"} ${from}${top}${below}`;
}

/**
 * Checks what the user said, by names in camelCase or kebab-case. `source` names a setting's place in messages: a flag, or a key of a file.
 * Throws UserError for an unknown name or a wrong value, with the nearest right one.
 */
export function checkSettings<K extends SettingName>(
  names: readonly K[],
  raw: Readonly<Record<string, unknown>>,
  source: { readonly label: (name: string) => string; readonly what: string },
): GivenSettings<K> {
  const given: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(raw)) {
    const name = names.find((candidate) => candidate === key || kebabCase(candidate) === key);
    if (name === undefined) {
      const hint = didYouMean(
        key,
        names.map((candidate) => (key in schemas ? candidate : kebabCase(candidate))),
      );
      throw new UserError(`${source.label(key)} is not ${source.what}.${hint}`);
    }
    given[name] = checkValue(name, value, source.label(key));
  }
  return given as GivenSettings<K>;
}

function checkValue(name: SettingName, value: unknown, label: string): unknown {
  const { success, data } = schemas[name].safeParse(value);
  if (success && data !== undefined) return data;
  const { expectation, choices } = describeSetting(name);
  if (value === "" || value === undefined) throw new UserError(`${label} needs a value: ${expectation}.`);
  const shown = typeof value === "string" ? value : JSON.stringify(value);
  throw new UserError(`${label} must be ${expectation}, not ${shown}.${didYouMean(shown, choices ?? [])}`);
}

/** The settings with the defaults of those not given. */
export function withDefaults<K extends SettingName>(
  names: readonly K[],
  given: GivenSettings<K>,
): Settings<K> {
  return Object.fromEntries(
    names.map((name) => [name, given[name] ?? schemas[name].parse(undefined)]),
  ) as unknown as Settings<K>;
}

/** `batchSize` as `batch-size`. */
export function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** The settings that make a run what it is, and that `config.json` echoes. */
export const runSettings = settingsOf("Network", "Data", "Training", "Machine");
export type RunSettingName = (typeof runSettings)[number];

/** Those of them that say where a run runs, not what it computes: they may change when it goes on. */
export const placeSettings: readonly RunSettingName[] = [
  "dataDir",
  "engine",
  "device",
  "threads",
  "checkpointEverySteps",
];

/** The settings of a run, complete. */
export type RunConfig = Settings<RunSettingName> & {
  readonly classes: number;
  readonly epochs: number;
  readonly replicas: number;
};

const defaultEpochs: Readonly<Record<DatasetName, number>> = { shapes: 4, cifar10: 1800, cifar100: 1800 };

/**
 * The settings of a run, with the defaults that depend on its data set, and as many replicas as this machine suggests where it is
 * asked. Throws UserError for fewer classes than the data set has.
 */
export function runConfig(given: GivenSettings<RunSettingName>): RunConfig {
  const settings = withDefaults(runSettings, given);
  const { data, classes = classCount(data), epochs = defaultEpochs[data] } = settings;
  if (classes < classCount(data)) {
    throw new UserError(`--classes ${classes} is too few: ${datasets[data].title} has ${classCount(data)}.`);
  }
  return { ...settings, classes, epochs, replicas: replicaCount(settings) };
}

/** What the number of replicas depends on. */
type Shared = Pick<RunConfig, "engine" | "device" | "batchSize">;

/** The images over which batch normalisation goes in the paper: its 128 on two GPUs. */
const IMAGES_A_REPLICA = 64;

/**
 * The replicas that were asked for. auto is one a core, each with the paper's share of a batch at least; a GPU, ONNX Runtime's own
 * engine and a given number of threads run one session.
 */
export function replicaCount({
  replicas,
  engine,
  device,
  batchSize,
  threads,
}: Shared & Pick<Settings<"replicas" | "threads">, "replicas" | "threads">): number {
  if (replicas !== "auto") return replicas;
  const isShared = engine === "onnxruntime" && device === "cpu" && threads === undefined;
  const shares = Math.floor(batchSize / IMAGES_A_REPLICA);
  return isShared ? Math.max(1, Math.min(availableParallelism(), shares)) : 1;
}

/** Throws UserError where steps cannot be shared by so many sessions. */
export function expectShareable({
  engine,
  device,
  replicas,
  batchSize,
}: Shared & { readonly replicas: number }): void {
  if (replicas === 1) return;
  if (engine === "ort-training") {
    throw new UserError(`--engine ort-training trains one session: leave --replicas ${replicas} out.`);
  }
  if (device !== "cpu") {
    throw new UserError(`--replicas ${replicas} share the CPU, not ${device}: say --device cpu.`);
  }
  if (replicas > batchSize) {
    throw new UserError(`--replicas ${replicas} is too many: a batch has ${batchSize} images.`);
  }
}

function classCount(data: DatasetName): number {
  return datasets[data].classNames.length;
}

/** What the training artifacts of a run are built from. */
export function artifactSettings(config: RunConfig, target: Target, fused = false): ArtifactSettings {
  const { depth, width, classes, optimizer, momentum, weightDecay, seed, data } = config;
  const { mean, std } = datasets[data];
  return { depth, width, classes, mean, std, target, optimizer, fused, momentum, weightDecay, seed };
}

/** The network's name as a part of a path: `26-2x32d`. */
export function networkSlug({ depth, width }: Pick<RunConfig, "depth" | "width">): string {
  return `${depth}-2x${width}d`;
}
