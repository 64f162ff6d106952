import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { didYouMean, UserError } from "../../graph-builder/index.ts";
import { type PeerName, peerNames } from "./peers.ts";
import type { WorkloadSettings } from "./workload.ts";

/** What a comparison measures, and how often. */
export interface Plan extends WorkloadSettings {
  readonly rounds: number;
  /** Of each round. */
  readonly steps: number;
  /** Seconds that a peer's rounds may take in all. */
  readonly patience: number;
}

export interface ComparisonOptions extends Plan {
  readonly peers: readonly PeerName[];
  readonly json: boolean;
}

const counts = {
  depth: { default: 26, help: "layers of the network, 6n + 2" },
  width: { default: 32, help: "channels of its first stage" },
  "batch-size": { default: 128, help: "images of a step" },
  threads: { default: availableParallelism(), help: "threads of every peer; replicas take one each" },
  rounds: { default: 5, help: "turns of every peer" },
  steps: { default: 2, help: "steps of a turn" },
  patience: {
    default: 120,
    help: "seconds for the turns of a peer; a slower one takes fewer steps, then fewer turns",
  },
} as const;

export const usage = [
  "npm run bench:compare -- [flags]  measures training steps of this project and others on the same network, in turns",
  "",
  ...Object.entries(counts).map(
    ([name, { default: value, help }]) => `  --${`${name} N`.padEnd(14)}${help} [default: ${value}]`,
  ),
  `  --${"peers A,B".padEnd(14)}only these of ${peerNames.join(", ")}`,
  `  --${"json".padEnd(14)}print one JSON object on stdout`,
].join("\n");

/** What the command line asks for; undefined for help. Throws UserError for a flag, a number or a peer that does not exist. */
export function readOptions(args: readonly string[]): ComparisonOptions | undefined {
  const flags = parseFlags(args);
  if (flags["help"]) return undefined;
  const count = (name: keyof typeof counts): number => {
    const text = flags[name] ?? String(counts[name].default);
    if (typeof text === "string" && /^[1-9]\d{0,6}$/.test(text)) return Number(text);
    throw new UserError(`--${name} must be a whole number from 1, not ${text}.`);
  };
  return {
    depth: count("depth"),
    width: count("width"),
    batchSize: count("batch-size"),
    threads: count("threads"),
    rounds: count("rounds"),
    steps: count("steps"),
    patience: count("patience"),
    peers: typeof flags["peers"] === "string" ? readPeers(flags["peers"]) : peerNames,
    json: flags["json"] === true,
  };
}

function parseFlags(args: readonly string[]): Readonly<Record<string, string | boolean | undefined>> {
  const text = { type: "string" } as const;
  const isSwitch = { type: "boolean" } as const;
  const numbers = Object.fromEntries(Object.keys(counts).map((name) => [name, text]));
  try {
    return parseArgs({
      args: [...args],
      options: { ...numbers, peers: text, json: isSwitch, help: isSwitch },
    }).values;
  } catch (error) {
    throw new UserError(`${(error as Error).message.replace(/\.?$/, ".")} See --help.`, { cause: error });
  }
}

function readPeers(list: string): PeerName[] {
  const wanted = list.split(",").map((name) => name.trim());
  for (const name of wanted) {
    if (!(peerNames as readonly string[]).includes(name)) {
      throw new UserError(`There is no peer ${name}.${didYouMean(name, peerNames)}`);
    }
  }
  return peerNames.filter((name) => wanted.includes(name));
}
