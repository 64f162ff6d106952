import { basename, extname } from "node:path";
import type { TrainingArtifacts } from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import { datasets, isDatasetName } from "../../../runtime/data/dataset.ts";
import { readClasses } from "../../data/open-data.ts";
import { say } from "../../terminal.ts";
import { buildOfModel } from "../build-graph/any-model.ts";
import type { TrainGiven } from "./command.ts";

/** A model from a file that a new run starts from. */
export interface InitialModel {
  readonly artifacts: TrainingArtifacts;
  /** The file's name without its ending. */
  readonly name: string;
  /** The settings of the run, without those that the artifacts were made with. */
  readonly given: TrainGiven;
}

/**
 * The learning rate of the last layer, and the factor of that of the others, which have learnt before
 * (docs/own-pictures.md has the measurements).
 */
const [usualRate, usualBodyRate] = [0.01, 0.01] as const;

/**
 * The training artifacts of the model in --init: its last layer is for the classes of the data, and the
 * parameters that match --freeze are not trained. Throws UserError as `shake build-graph --from` does.
 */
export async function openInitialModel(file: string, said: TrainGiven): Promise<InitialModel> {
  const { init: _, freeze = [], optimizer, weightDecay, momentum, sgdRate, sgdDecay, ...others } = said;
  const { labelSmoothing, clipNorm, ...rest } = others;
  const { bodyRate = usualBodyRate, ...given } = { learningRate: usualRate, ...rest };
  const { data = "shapes", seed, learningRate } = given;
  const classNames = isDatasetName(data)
    ? datasets[data].classNames
    : await readClasses(data, given.classMap);
  const { artifacts } = await buildOfModel(file, {
    from: file,
    loss: ["cross-entropy"],
    classes: classNames.length,
    ...(freeze.length > 0 ? { trainable: ["all", ...freeze.map((name) => `!${name}`)] } : {}),
    seed,
    optimizer,
    learningRate,
    bodyRate,
    weightDecay,
    momentum,
    sgdRate,
    sgdDecay,
    labelSmoothing,
    // mixed pictures have mixed labels
    ...(given.mixup || given.cutmix ? { softLabels: true } : {}),
    clipNorm,
  });
  say(
    `The last layer of ${file} learns at a rate of ${learningRate}, and the others at ${bodyRate} of it, unless --learning-rate and --body-rate say otherwise.`,
  );
  return {
    artifacts,
    name: basename(file, extname(file)),
    given,
  };
}

/** Throws UserError for --init, --freeze and --body-rate where they have no meaning. */
export function expectInitialModel({ init, freeze, bodyRate, artifacts }: TrainGiven): void {
  if (init !== undefined && artifacts !== undefined) {
    throw new UserError("--init does not go with --artifacts, which have their own weights.", {
      code: "setting-conflict",
    });
  }
  const flag = freeze !== undefined ? "--freeze" : bodyRate !== undefined && "--body-rate";
  if (flag && (init === undefined || !isModelFile(init))) {
    const parameters = flag === "--freeze" ? ", whose parameters it names" : "";
    throw new UserError(`${flag} needs --init MODEL.onnx${parameters}.`, { code: "setting-conflict" });
  }
}

/** Whether --init names an .onnx file, not a run or a checkpoint. */
export function isModelFile(path: string): boolean {
  return /\.onnx$/i.test(path);
}
