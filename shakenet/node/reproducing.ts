import { kebabCase } from "../../runtime/node/run/schema.ts";
import { quoted } from "../../runtime/node/shell-word.ts";
import { changedFlags } from "./earlier-settings.ts";
import { settingsOfRecipe } from "./recipes.ts";
import { type RunConfig, runConfig, withoutPlace } from "./run-config.ts";

/**
 * The settings of the same computation in one process: replicas of other ranks are replicas, whose sums have
 * the same bits.
 */
export function inOneProcess<C extends Pick<RunConfig, "replicas" | "ranks">>(config: C): C {
  const { replicas, ranks = 1 } = config;
  return { ...config, replicas: replicas * ranks, ranks: undefined };
}

/**
 * The command that repeats a run's training: its settings as flags, without the settings of the machine and
 * folders, and without defaults. Those of a recipe are all there, as another version may change them. A run
 * whose settings a resume changed has a command for each of its parts.
 */
export function reproducingCommand(config: RunConfig): string {
  const { earlier = [], ...last } = config;
  const before = earlier.map(({ epochs, learningRate, patienceEpochs }) => ({
    ...last,
    epochs,
    learningRate,
    patienceEpochs,
  }));
  const [first = last, ...others] = [...before, last];
  const begin = commandOf(first);
  if (others.length === 0) return begin;
  const resumes = others.map(
    (part, i) => `shake train --resume ${FOLDER} ${changedFlags(before[i] ?? first, part).join(" ")}`,
  );
  const stops = earlier.flatMap(({ steps, isFinished }) => (isFinished ? [] : String(steps)));
  const note = stops.length > 0 ? ` # stopped after step ${stops.join(", then ")}` : "";
  return `${[`${begin} --run-dir ${FOLDER}`, ...resumes].join(" && ")}${note}`;
}

/** A folder for a run of several parts. */
const FOLDER = "runs/repeated";

function commandOf(config: RunConfig): string {
  const { pictures, ...settings } = inOneProcess(config);
  const { data, recipe } = settings;
  const defaults: Readonly<Record<string, unknown>> = runConfig({ data }, pictures);
  const ofRecipe: Readonly<Record<string, unknown>> = recipe ? settingsOfRecipe(recipe) : {};
  const flags = Object.entries(withoutPlace(settings))
    .filter(
      ([name, value]) =>
        value !== undefined && (name === "data" || value !== defaults[name] || name in ofRecipe),
    )
    // the same training gives the same text on every system
    .map(([name, value]) => `--${kebabCase(name)} ${quoted(String(value), "linux")}`);
  return ["shake train", ...flags].join(" ");
}
