import { UserError } from "../../graph-builder/errors.ts";
import { averageKinds } from "../../runtime/loop/averaging.ts";
import { isChunked } from "../../runtime/node/run/engine-settings.ts";
import type { GivenRun } from "./run-config.ts";

/** The settings of a run that do not go with every other one. */
type Settings = Partial<
  Pick<
    GivenRun,
    | "average"
    | "averageDecay"
    | "averageEverySteps"
    | "optimizer"
    | "sgdRate"
    | "earlySize"
    | "earlyShare"
    | "engine"
    | "stepsPerCall"
    | "precision"
  >
>;

/** Throws UserError for a setting of a run that needs another one, or does not go with it. */
export function expectTogether(settings: Settings): void {
  const conflict = conflictIn(settings);
  if (!conflict) return;
  const { setting, sentence } = conflict;
  throw new UserError(sentence, { code: "setting-conflict", details: { setting } });
}

/** A setting that does not go with others, and what is wrong with it. */
export interface SettingConflict {
  readonly setting: keyof Settings;
  readonly sentence: string;
}

/** The first setting of a run that needs another one, or does not go with it. */
export function conflictIn(settings: Settings): SettingConflict | undefined {
  const { average, averageDecay, averageEverySteps, optimizer, sgdRate, earlySize, earlyShare } = settings;
  const isMuon = optimizer === "muon";
  const averaging = `needs --average ${averageKinds.join(" or ")}`;
  const whole = wholeSteps(settings);
  const conflicts: readonly (readonly [isOne: boolean, setting: keyof Settings, sentence: string])[] = [
    [averageDecay !== undefined && average === undefined, "averageDecay", `--average-decay ${averaging}.`],
    [
      averageEverySteps !== undefined && average === undefined,
      "averageEverySteps",
      `--average-every-steps ${averaging}.`,
    ],
    [sgdRate !== undefined && !isMuon, "sgdRate", "--sgd-rate needs --optimizer muon."],
    [
      isMuon && whole !== undefined && whole !== ORT_TRAINING,
      "optimizer",
      `--optimizer muon does not go with ${whole}, which updates all weights as one matrix.`,
    ],
    [
      earlyShare !== undefined && earlySize === undefined,
      "earlyShare",
      "--early-share needs --early-size PIXELS.",
    ],
    [
      earlySize !== undefined && whole !== undefined,
      "earlySize",
      `--early-size does not go with ${whole}, which takes images of one size.`,
    ],
  ];
  const conflict = conflicts.find(([isOne]) => isOne);
  return conflict && { setting: conflict[1], sentence: conflict[2] };
}

const ORT_TRAINING = "--engine ort-training";

/** The flag by which the device takes whole steps, or several; undefined where the steps are ours. */
function wholeSteps({ engine, stepsPerCall, precision = "float32" }: Settings): string | undefined {
  if (engine === "ort-training") return ORT_TRAINING;
  if (!isChunked({ stepsPerCall, precision })) return undefined;
  return precision === "mixed" ? "--precision mixed" : "--steps-per-call";
}
