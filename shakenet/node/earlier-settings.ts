import { z } from "zod";
import type { Checkpoint } from "../../artifacts/index.ts";
import { parseValue } from "../../artifacts/json.ts";
import { kebabCase } from "../../runtime/node/run/schema.ts";
import type { RunConfig } from "./run-config.ts";

const earlierSettingsSchema = z.object({
  epochs: z.int().min(1),
  learningRate: z.number().positive(),
  patienceEpochs: z.int().min(1).optional(),
  /** The steps of the run that were taken when a resume changed the settings. */
  steps: z.int().min(0),
  /** Whether all epochs were trained by then. */
  isFinished: z.boolean(),
});

/** Settings of the computation that a resumed run had before, and how long. */
export type EarlierSettings = z.infer<typeof earlierSettingsSchema>;

type Changeable = Pick<RunConfig, (typeof changeable)[number]>;

/** The settings of the computation that a resume may change. */
const changeable = ["epochs", "learningRate", "patienceEpochs"] as const;

/**
 * What a `config.json` keeps of a run's earlier settings; undefined where it keeps nothing. Throws UserError,
 * naming the file, for something else.
 */
export function earlierSettingsIn(raw: unknown, file: string): readonly EarlierSettings[] | undefined {
  if (raw === undefined) return undefined;
  return parseValue(z.array(earlierSettingsSchema), raw, {
    where: `earlier in ${file}`,
    code: "file-damaged",
  });
}

/** The settings of a run that goes on from a checkpoint, with those that it had before. */
export function withEarlierSettings(
  own: RunConfig,
  config: RunConfig,
  { optimizer, properties }: Checkpoint,
): RunConfig {
  const { earlier = [], epochs, learningRate, patienceEpochs } = own;
  const steps = optimizer?.step ?? 0;
  const isChanged = changeable.some((name) => own[name] !== config[name]);
  if (!isChanged || steps === 0) return { ...config, earlier: own.earlier };
  const isFinished = Number(properties.get("epoch") ?? 0) >= epochs;
  return { ...config, earlier: [...earlier, { epochs, learningRate, patienceEpochs, steps, isFinished }] };
}

/** The settings that two stages of a run have apart, as flags of the later one. */
export function changedFlags(before: Changeable, after: Changeable): string[] {
  return changeable.flatMap((name) =>
    before[name] === after[name] || after[name] === undefined ? [] : `--${kebabCase(name)} ${after[name]}`,
  );
}
