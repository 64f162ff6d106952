import { z } from "zod";
import { deviceNames } from "../runtime/device/names.ts";
import {
  checkSettings,
  type Given,
  type SettingSource,
  type Settings,
  withDefaults,
} from "../runtime/node/run/schema.ts";
import { defaultForm, inputForms, outputForms } from "../shakenet/inference-form.ts";
import { runSettingGroups } from "../shakenet/node/run-config.ts";
import { targets } from "../shakenet/settings.ts";
import { anyModelSettings } from "./any-model-settings.ts";
import { secondsIn } from "./duration.ts";
import { pictureSettings } from "./models/settings.ts";

const count = z.int().min(1);
const path = z.string().min(1);

/** A time in seconds. */
const duration = z
  .union([z.number().positive(), z.string()])
  .transform((value, context) => {
    const seconds = typeof value === "number" ? value : secondsIn(value);
    if (seconds !== undefined) return seconds;
    context.issues.push({ code: "custom", message: "no time", input: value });
    return z.NEVER;
  })
  .meta({ expectation: "a time above 0, such as 90s, 15m, 1h30m or a number of seconds" });

/**
 * Every setting of every command: its type, default, choices and help. Flags, config files and messages
 * follow from it.
 */
export const settingGroups = {
  ...runSettingGroups,
  Pictures: pictureSettings,
  Model: {
    input: z
      .enum(inputForms)
      .default(defaultForm.input)
      .describe("type and layout of the model's input, raw pixels 0..255"),
    output: z.enum(outputForms).default(defaultForm.output).describe("what the model returns"),
    opset: z.int().min(11).max(21).default(17).describe("opset version of ONNX"),
    batch: z
      .union([z.literal("dynamic"), count.max(65_536)])
      .default(defaultForm.batch)
      .describe("images per call: a number, or dynamic for any number"),
    precision: z
      .enum(["float32", "float16", "int8"])
      .default("float32")
      .describe("number type of weights and arithmetic; int8 is calibrated on training images"),
    alphaInput: z
      .boolean()
      .default(false)
      .describe("make the weight of the first branch an input, alpha; the branches are not merged"),
    calibrationImages: count.default(512).describe("training images that int8 is calibrated on"),
  },
  "Any model": anyModelSettings,
  Files: {
    file: path.optional().describe("model, checkpoint, run folder or artifacts folder"),
    source: path.optional().describe("run folder, artifacts folder or checkpoint"),
    adapters: z
      .boolean()
      .default(false)
      .describe("write the low-rank adapters alone, as a checkpoint of changes"),
    endAt: path
      .optional()
      .describe("values that the model ends at instead of its outputs: names with commas between them"),
    runDir: path
      .optional()
      .describe("folder that the run is written to [default: runs/<network>-<data>-s<seed>]"),
    resume: z
      .string()
      .optional()
      .describe("continue the run in this folder from its last checkpoint, or from a checkpoint of a run"),
    artifacts: path
      .optional()
      .describe("folder of training artifacts that build-graph wrote [default: build them]"),
    init: path
      .optional()
      .describe(
        "take the weights, all but those of the last layer, from an .onnx model, a run or a checkpoint",
      ),
    freeze: z
      .array(path)
      .min(1)
      .optional()
      .describe("parameters of the --init model that are not trained: names, or globs with * and ?"),
    target: z
      .enum(targets)
      .default("ort-training")
      .describe("operators of the training model: ONNX Runtime's training operators, or standard ONNX alone"),
    fused: z.boolean().default(false).describe("put the optimizer's update into the training model"),
    chunk: z
      .boolean()
      .default(false)
      .describe("also write epoch_model.onnx, which takes many steps in one call; needs --target standard"),
    out: path.optional().describe("path to write to"),
    run: path.optional().describe("run folder"),
    runs: z.array(path).optional().describe("a folder of runs, or two and more runs to compare"),
    model: path.optional().describe("exported .onnx model"),
    against: path.optional().describe("checkpoint to compare the model with"),
    pictures: z.array(path).optional().describe("picture files of any size, or folders of them"),
    checkpoint: z.enum(["last", "best"]).default("last").describe("checkpoint of the run to use"),
    config: path.optional().describe("JSON file with settings, comments allowed; flags override it"),
    maxTime: duration
      .optional()
      .describe(
        "time after which training ends; what is trained is tested and exported then: 90s, 15m, 1h30m [default: none]",
      ),
    timeout: z
      .number()
      .positive()
      .max(2_000_000)
      .optional()
      .describe("seconds after which the command is ended, for models that are not trusted [default: never]"),
  },
  Benchmark: {
    steps: count.default(10).describe("number of timed steps"),
    warmup: z.int().min(0).default(3).describe("number of steps before the timed ones"),
    lowering: z
      .enum(["cpu", "portable"])
      .optional()
      .describe("operators that replace the training operators [default: those of the device]"),
    profile: z.boolean().default(false).describe("show the time of each operator"),
    hosts: z
      .boolean()
      .default(false)
      .describe("project the efficiency of 2 to 64 hosts like this one at 1 and 10 Gbit/s"),
  },
  Installation: {
    shell: z.enum(["bash", "zsh", "fish"]).optional().describe("shell that completes commands and flags"),
    python: path.optional().describe("Python interpreter with pip [default: python3]"),
    wheel: path.optional().describe("wheel of onnxruntime-gpu that was fetched before [default: fetch it]"),
    fetchLibraries: z
      .boolean()
      .default(false)
      .describe("fetch CUDA's libraries too, about 1.3 GB, instead of using those of this machine"),
  },
  Output: {
    open: z.boolean().default(false).describe("show the file in the browser of this machine"),
    json: z.boolean().default(false).describe("print one JSON object to standard output"),
    graph: z.boolean().default(false).describe("print the model in ONNX's textual syntax"),
    lowered: z.enum(deviceNames).optional().describe("print the model as a session on this device runs it"),
    training: z
      .boolean()
      .default(false)
      .describe("show which parameters can be trained, and which operators have no gradient"),
    branches: z
      .boolean()
      .default(false)
      .describe("measure how alike the two branches of every block of a run are, as the paper's figure 3"),
    dryRun: z
      .boolean()
      .default(false)
      .describe("say what would be trained, time one step, and say when the run would end; write nothing"),
    dot: z.boolean().default(false).describe("print the graph in Graphviz's language, for a drawing"),
  },
} as const;

type Groups = typeof settingGroups;
export type SettingGroup = keyof Groups;

const schemas = {
  ...settingGroups.Network,
  ...settingGroups.Data,
  ...settingGroups.Pictures,
  ...settingGroups.Training,
  ...settingGroups.Machine,
  ...settingGroups.Model,
  ...settingGroups["Any model"],
  ...settingGroups.Files,
  ...settingGroups.Benchmark,
  ...settingGroups.Installation,
  ...settingGroups.Output,
} as const;

type Schemas = typeof schemas;
export type SettingName = keyof Schemas;

/** The names of settings, and of all in groups. */
type NamesIn<K extends SettingName | SettingGroup> =
  | Extract<K, SettingName>
  | { [G in Extract<K, SettingGroup>]: keyof Groups[G] & SettingName }[Extract<K, SettingGroup>];

type SchemasOf<K extends SettingName | SettingGroup> = Pick<Schemas, NamesIn<K>>;

/** Only what the user said, of settings and groups of them. */
export type GivenSettings<K extends SettingName | SettingGroup = SettingName> = Given<SchemasOf<K>>;

/** The schemas of settings, and of all in groups, in the order of the names. */
export function schemasOf<K extends SettingName | SettingGroup>(names: readonly K[]): SchemasOf<K> {
  const entries = names.flatMap((name): [string, z.ZodType][] =>
    isGroup(name) ? Object.entries(settingGroups[name]) : [[name, schemas[name as SettingName]]],
  );
  return Object.fromEntries<z.ZodType>(entries) as SchemasOf<K>;
}

function isGroup(name: SettingName | SettingGroup): name is SettingGroup {
  return Object.hasOwn(settingGroups, name);
}

/** The group of a setting, under which the help lists it. */
export function groupOf(name: string): string {
  return Object.entries(settingGroups).find(([, members]) => name in members)?.[0] ?? "";
}

/** Settings and groups of them, with every default filled in. */
export type CompleteSettings<K extends SettingName | SettingGroup = SettingName> = Settings<SchemasOf<K>>;

/** The settings of these names with the defaults of those not given. */
export function complete<K extends SettingName | SettingGroup>(
  names: readonly K[],
  given: GivenSettings<K>,
): CompleteSettings<K> {
  return withDefaults(schemasOf(names), given);
}

/** Checks settings of these names. Throws UserError for an unknown name or a wrong value. */
export function checkGiven<K extends SettingName | SettingGroup>(
  names: readonly K[],
  raw: Readonly<Record<string, unknown>>,
  source: SettingSource,
): GivenSettings<K> {
  return checkSettings(schemasOf(names), raw, source);
}
