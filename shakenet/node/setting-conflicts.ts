import { UserError } from "../../graph-builder/errors.ts";
import { averageKinds } from "../../runtime/loop/averaging.ts";
import { isChunked, wholeFlag } from "../../runtime/node/run/engine-settings.ts";
import { noiseConflict, regularizationOf } from "../regularization.ts";
import type { GivenRun } from "./run-config.ts";

/** The settings of a run that do not go with every other one. */
type Settings = Partial<
  Pick<
    GivenRun,
    | "network"
    | "alpha"
    | "regularization"
    | "survival"
    | "forward"
    | "backward"
    | "level"
    | "shakeSchedule"
    | "shakeRange"
    | "stem"
    | "stemStride"
    | "downsampling"
    | "average"
    | "averageDecay"
    | "averageEverySteps"
    | "optimizer"
    | "sgdRate"
    | "sgdDecay"
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
  return noiseConflict(settings) ?? shakingConflict(settings) ?? otherConflict(settings);
}

/** A setting of Shake-Shake beside another noise. */
function shakingConflict(settings: Settings): SettingConflict | undefined {
  const regularization = regularizationOf(settings);
  if (regularization === "shake-shake") return undefined;
  const { forward = "shake", backward = "shake", level = "image", shakeSchedule, shakeRange } = settings;
  const needs = (setting: keyof Settings, flag: string, noise = "shake-shake"): SettingConflict => ({
    setting,
    sentence: `${flag} is for --regularization ${noise}, not for ${regularization}.`,
  });
  if (forward !== "shake") return needs("forward", `--forward ${forward}`);
  if (backward !== "shake") return needs("backward", `--backward ${backward}`);
  if (shakeSchedule !== undefined) return needs("shakeSchedule", "--shake-schedule");
  if (shakeRange !== undefined) return needs("shakeRange", "--shake-range");
  if (regularization === "none" && level !== "image")
    return needs("level", `--level ${level}`, "shake-shake or shake-drop");
  return undefined;
}

function otherConflict(settings: Settings): SettingConflict | undefined {
  const { average, averageDecay, averageEverySteps, optimizer, earlySize, earlyShare } = settings;
  const { sgdRate, sgdDecay } = settings;
  const stemUnit = (settings.stemStride ?? 1) * (settings.stem === "whitening-pool" ? 2 : 1);
  const mapUnit = 4 * stemUnit;
  const pools = settings.downsampling === "max-pool";
  const averages = settings.network === "pyramidnet" && !pools;
  const smallest = pools ? mapUnit : stemUnit;
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
    [sgdDecay !== undefined && !isMuon, "sgdDecay", "--sgd-decay needs --optimizer muon."],
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
      averages && earlySize !== undefined && earlySize % mapUnit !== 0,
      "earlySize",
      `--network pyramidnet halves its maps twice: --early-size ${earlySize} is no multiple of ${mapUnit}.`,
    ],
    [
      earlySize !== undefined && earlySize < smallest,
      "earlySize",
      `--early-size ${earlySize} is too small for so many max poolings: give ${smallest} or more.`,
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
  return wholeFlag(precision);
}
