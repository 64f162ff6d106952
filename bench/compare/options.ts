import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { didYouMean, UserError } from "../../graph-builder/index.ts";
import { isModelName, type ModelName, modelNames, models } from "./models.ts";
import { type PeerName, peerNames, peersOf } from "./peers.ts";
import type { WorkloadSettings } from "./workload.ts";

/** The network of a comparison, and how often each peer trains it. */
export interface Plan extends WorkloadSettings {
  /** A foreign model in the place of our network, which depth and width then do not describe. */
  readonly model?: ModelName | undefined;
  /** Whether the peers classify the batch, as the test images of a run, in the place of training. */
  readonly evaluates?: boolean | undefined;
  readonly rounds: number;
  /** Steps of a round. */
  readonly steps: number;
  /** The most seconds for all rounds of a peer. */
  readonly patience: number;
}

export interface ComparisonOptions extends Plan {
  readonly peers: readonly PeerName[];
  readonly json: boolean;
}

const counts = {
  depth: { default: 26, help: "layers of the network, 6n + 2" },
  width: { default: 32, help: "channels of the first stage" },
  "batch-size": { default: 128, help: "examples per step" },
  threads: { default: availableParallelism(), help: "threads of each peer; a replica uses one" },
  rounds: { default: 5, help: "rounds; each peer takes one turn per round" },
  steps: { default: 2, help: "steps per turn" },
  patience: {
    default: 120,
    help: "seconds for all turns of a peer; a slower peer takes fewer steps, then fewer turns",
  },
} as const;

export const usage = [
  "npm run bench:compare -- [flags]  compare the training speed of this project and of others on the same network",
  "",
  ...Object.entries(counts).map(
    ([name, { default: value, help }]) => `  --${`${name} N`.padEnd(14)}${help} [default: ${value}]`,
  ),
  `  --${"model NAME".padEnd(14)}train a model that PyTorch exports: ${modelNames.join(", ")}; its own batch size`,
  `  --${"evaluate".padEnd(14)}classify the batch in place of training: the exported network, PyTorch in inference_mode`,
  `  --${"peers A,B".padEnd(14)}compare only these peers: ${peerNames.join(", ")}`,
  `  --${"json".padEnd(14)}print one JSON object`,
].join("\n");

/**
 * Reads the command line. Returns undefined where it asks for help. Throws UserError for an unknown flag, an
 * unknown peer or a wrong number.
 */
export function readOptions(args: readonly string[]): ComparisonOptions | undefined {
  const flags = parseFlags(args);
  if (flags["help"]) return undefined;
  const model = readModel(flags);
  const evaluates = flags["evaluate"] === true;
  if (evaluates && model)
    throw new UserError(`--evaluate is for this project's own network, not for --model ${model}.`, {
      code: "setting-invalid",
    });
  const batchSize = model ? models[model].batchSize : counts["batch-size"].default;
  const count = (name: keyof typeof counts, otherwise: number = counts[name].default): number => {
    const text = flags[name] ?? String(otherwise);
    if (typeof text === "string" && /^[1-9]\d{0,6}$/.test(text)) return Number(text);
    throw new UserError(`--${name} must be a whole number from 1, not ${text}.`, { code: "setting-invalid" });
  };
  return {
    depth: count("depth"),
    width: count("width"),
    batchSize: count("batch-size", batchSize),
    threads: count("threads"),
    rounds: count("rounds"),
    steps: count("steps"),
    patience: count("patience"),
    model,
    evaluates,
    peers: readPeers(flags["peers"], { model, evaluates }),
    json: flags["json"] === true,
  };
}

type Flags = Readonly<Record<string, string | boolean | undefined>>;

function parseFlags(args: readonly string[]): Flags {
  const text = { type: "string" } as const;
  const isSwitch = { type: "boolean" } as const;
  const numbers = Object.fromEntries(Object.keys(counts).map((name) => [name, text]));
  try {
    return parseArgs({
      args: [...args],
      options: {
        ...numbers,
        model: text,
        peers: text,
        evaluate: isSwitch,
        json: isSwitch,
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new UserError(`${message.replace(/\.?$/, ".")} See --help.`, {
      code: "setting-invalid",
      cause: error,
    });
  }
}

/** Throws UserError for an unknown model, and for flags that describe our own network. */
function readModel(flags: Flags): ModelName | undefined {
  const name = flags["model"];
  if (typeof name !== "string") return undefined;
  if (!isModelName(name)) {
    const known = modelNames.join(", ");
    throw new UserError(`There is no model ${name}: give ${known}.${didYouMean(name, modelNames)}`, {
      code: "setting-unknown",
    });
  }
  for (const flag of ["depth", "width"]) {
    if (flags[flag] === undefined) continue;
    throw new UserError(`--${flag} is for this project's own network, not for --model ${name}.`, {
      code: "setting-invalid",
    });
  }
  return name;
}

function readPeers(list: Flags[string], task: Pick<Plan, "model" | "evaluates">): PeerName[] {
  const { model, evaluates } = task;
  const known = peersOf(task);
  const names = peerNames.filter((name) => Object.hasOwn(known, name));
  if (typeof list !== "string") return names;
  const wanted = list.split(",").map((name) => name.trim());
  for (const name of wanted) {
    if (!names.some((peer) => peer === name)) {
      const where = model ? ` for ${model}` : evaluates ? " for --evaluate" : "";
      throw new UserError(`There is no peer ${name}${where}.${didYouMean(name, names)}`, {
        code: "setting-unknown",
      });
    }
  }
  return names.filter((name) => wanted.includes(name));
}
