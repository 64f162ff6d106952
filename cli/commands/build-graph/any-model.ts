import { basename, extname, join } from "node:path";
import {
  artifactFiles,
  decodeCheckpoint,
  generateArtifacts,
  type Loss,
  type ModelArtifacts,
  otherConstants,
  trainingCoverage,
} from "../../../artifacts/index.ts";
import { listed } from "../../../artifacts/listed.ts";
import {
  decodeMetadata,
  decodeModel,
  decodeOutline,
  formatType,
  type Graph,
  type Outline,
  UserError,
  withMetadata,
} from "../../../graph-builder/index.ts";
import { datasetNames, datasets, isDatasetName } from "../../../runtime/data/dataset.ts";
import { feedingIn } from "../../../runtime/data/picture-input.ts";
import { ownDataPath } from "../../../runtime/node/data/own/own-pictures.ts";
import { readModelFile } from "../../../runtime/node/index.ts";
import { constantsTable } from "../../constants-table.ts";
import { readClasses, refuseOwnSettings } from "../../data/open-data.ts";
import { formatLarge, formatTable } from "../../format.ts";
import { shakeCommand } from "../../invocation.ts";
import { isSummed } from "../../models/classifier.ts";
import { costUnit, describeCost } from "../../models/cost-field.ts";
import { pixelAdvice } from "../../models/pixel-advice.ts";
import { complete } from "../../settings.ts";
import type { Build } from "./build.ts";
import { type BuildGraphGiven, buildGraphCommand } from "./command.ts";
import { withFlagNames } from "./flag-names.ts";
import { lossOf } from "./loss.ts";
import { describeGroups, describeRule, ruleFrom } from "./optimizer.ts";

/** The artifacts of the model in a file. */
export async function buildOfModel(file: string, given: BuildGraphGiven): Promise<Build> {
  const { target, fused, chunk, seed } = complete(buildGraphCommand.settings, given);
  const name = basename(file, extname(file));
  const folder = given.out ?? join("build", name);
  const names = await classNamesOf(given);
  const source = await readModelFile(file);
  const bytes = names ? withMetadata(source, { class_names: JSON.stringify(names) }, file) : source;
  const outline = decodeOutline(bytes, file);
  const classified = names ? { loss: ["cross-entropy"], classes: names.length, ...given } : given;
  const loss = lossOf(classified, Object.keys(outline.outputs));
  const rule = ruleFrom(given);
  expectRate(given);
  const { trainable, lossInput, learningRate, bodyRate, additionalOutputs } = given;
  const artifacts = explained(file, bytes, () =>
    generateArtifacts(bytes, {
      where: file,
      name,
      trainable,
      lora: loraOf(given),
      loss,
      lossInput,
      optimizer: rule,
      learningRate,
      bodyRate,
      additionalOutputs,
      countCorrect: isClassifiers(loss) && !Object.hasOwn(outline.outputs, "correct"),
      classes: classified.classes,
      target,
      fused: fused || chunk,
      chunk,
      seed,
    }),
  );
  const pictures = picturesField(artifacts, loss, bytes);
  return {
    folder,
    artifacts,
    fields: { ...sourceFields(file, outline), ...trainingFields(artifacts, classified), pictures },
    sections: sectionsOf(artifacts, decodeModel(bytes, file, { uncovered: "keep" }).graph),
    next: [
      ...(pictures === undefined ? [] : trainCommands(artifacts, folder, given.data)),
      shakeCommand("inspect", folder),
      shakeCommand("export", folder, "--out", `${name}-trained.onnx`),
    ],
  };
}

/** The adapters that the flags ask for. Throws UserError for settings of adapters without --lora. */
function loraOf({ lora: rank, loraAlpha: alpha, loraTargets: targets }: BuildGraphGiven) {
  if (rank !== undefined) return { rank, alpha, targets };
  const flag = alpha !== undefined ? "--lora-alpha" : targets && "--lora-targets";
  if (flag === undefined) return undefined;
  throw new UserError(`${flag} is a setting of low-rank adapters: give --lora RANK too.`, {
    code: "setting-missing",
    details: { setting: "lora" },
  });
}

/** The names of the classes of --data, in their order; undefined without it. */
async function classNamesOf({ data, classMap }: BuildGraphGiven): Promise<readonly string[] | undefined> {
  if (data === undefined) {
    if (classMap === undefined) return undefined;
    throw new UserError("--class-map names the classes of --data: give --data FOLDER too.", {
      code: "setting-missing",
      details: { setting: "data" },
    });
  }
  if (!isDatasetName(data)) return readClasses((await ownDataPath(data)) ?? data, classMap);
  refuseOwnSettings({ classMap }, data);
  return datasets[data].classNames;
}

/** `shake train` on the given data, or where the model has as many classes as a known data set. */
function trainCommands({ evalModel }: ModelArtifacts, folder: string, given: string | undefined): string[] {
  const { outputs } = decodeModel(evalModel, artifactFiles.evalModel).graph;
  const classes = outputs.find(({ name }) => name !== "loss")?.shape[1];
  const data = given ?? datasetNames.findLast((name) => datasets[name].classNames.length === classes);
  return data === undefined ? [] : [shakeCommand("train", "--artifacts", folder, "--data", data)];
}

/** How `shake train` feeds a classifier of pictures; undefined for another model. */
function picturesField({ evalModel }: ModelArtifacts, loss: Loss, source: Uint8Array): string | undefined {
  const [first] = decodeModel(evalModel, artifactFiles.evalModel).graph.inputs;
  if (!isClassifiers(loss) || isSummed(loss)) return undefined;
  if (first?.type.kind !== "tensor" || first.shape.length !== 4) return undefined;
  if (first.elemType === "uint8") return `${first.name}, fed as raw bytes`;
  const { pixels } = feedingIn(decodeMetadata(source));
  if (pixels !== undefined) return `${first.name}, fed as ${pixels}, as the model's metadata say`;
  return `${first.name}, fed as raw (0..255) unless shake train --pixels says otherwise: ${pixelAdvice}`;
}

/** Whether labels can be counted: a single cross-entropy is the loss, as `shake train` needs. */
function isClassifiers(loss: Loss): boolean {
  return (
    loss === "cross-entropy" || (typeof loss === "object" && "type" in loss && loss.type === "cross-entropy")
  );
}

/** Throws UserError for a learning rate where the training model takes one in every step. */
function expectRate({ learningRate, fused, chunk }: BuildGraphGiven): void {
  if (learningRate === undefined || !(fused || chunk)) return;
  throw new UserError(
    `--learning-rate does not apply to ${fused ? "--fused" : "--chunk"}: its training model takes the rate as an input of every step.`,
    { code: "setting-conflict", details: { setting: "learningRate" } },
  );
}

/**
 * Names flags in the place of the options of `generateArtifacts`, and says which node keeps which parameters
 * from being trained.
 */
function explained<T>(file: string, bytes: Uint8Array, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { code, details } = error;
    if (code.startsWith("setting-") && details["setting"] !== "lossInput") {
      const message = withFlagNames(error.message, { isOfGroup: "group" in details });
      throw new UserError(message, { cause: error, code, details });
    }
    const outputs = details["outputs"];
    if (details["setting"] === "lossInput" && Array.isArray(outputs)) {
      if (outputs.length === 0) {
        const message = `${file} has no output that a loss can read: name a value inside it with --loss-input.`;
        throw new UserError(message, { cause: error, code, details });
      }
      const message = `${file} has the outputs ${outputs.join(", ")}: say which the loss reads with --loss-input NAME.`;
      throw new UserError(message, { cause: error, code, details });
    }
    if (!isUnreadable(error) || details["where"] === file) throw error;
    const { obstacles } = trainingCoverage(bytes);
    if (obstacles.length === 0) throw error;
    const reasons = obstacles.slice(0, 3).map(({ reason, parameters }) => {
      const found = parameters.length > 0;
      return `${reason}, ${found ? `which keeps ${listed(parameters)} from being trained` : "so no parameters are found behind it"}`;
    });
    const rest = obstacles.length > 3 ? `; and ${obstacles.length - 3} more` : "";
    const command = shakeCommand("inspect", file, "--training");
    const message = `${file} cannot be trained as asked: ${reasons.join("; ")}${rest}. Choose others with --trainable: ${command} lists them.`;
    throw new UserError(message, { cause: error, code, details: { ...details, obstacles } });
  }
}

/** Whether an operator that is not covered may be why artifacts cannot be made. */
function isUnreadable({ code, details: { parameters } }: UserError): boolean {
  const hasNone = code === "parameter-unknown" && Array.isArray(parameters) && parameters.length === 0;
  return code === "model-unsupported" || hasNone;
}

function sourceFields(file: string, { producerName, opsets, irVersion }: Outline): Build["fields"] {
  const versions = Object.entries(opsets).map(([domain, version]) => `${domain || "ai.onnx"} ${version}`);
  return { model: `${file}, IR ${irVersion}, ${versions.join(", ")}, by ${producerName || "unknown"}` };
}

function trainingFields(
  { manifest, evalModel, checkpoint }: ModelArtifacts,
  { loss = [], lossInput, learningRate = 0.001, fused, chunk, seed = 1 }: BuildGraphGiven,
): Build["fields"] {
  const { trainable, parameters, cost, target, newHead } = manifest;
  const { graph } = decodeModel(evalModel, artifactFiles.evalModel);
  const state = decodeCheckpoint(checkpoint, artifactFiles.checkpoint);
  const held = new Set([...state.trainable.keys(), ...state.frozen.keys()]);
  const typed = (values: typeof graph.inputs) =>
    values.map(({ name, type }) => `${name} ${formatType(type)}`).join("; ");
  const [, ...evaluated] = graph.outputs;
  const inputs = graph.inputs.filter(({ name = "" }) => !held.has(name));
  return {
    inputs: typed(inputs),
    outputs: `loss float[]${evaluated.length > 0 ? `; when evaluated also ${typed(evaluated)}` : ""}`,
    loss: lossInput === undefined ? loss.join(" + ") : `${loss.join(" + ")} of ${lossInput}`,
    trained: `${formatLarge(parameters)} values in ${trainable.length} ${trainable.length === 1 ? "tensor" : "tensors"}`,
    "new last layer":
      newHead &&
      `${newHead.tensors.join(", ")} for ${newHead.classes} classes, drawn from U(-1/sqrt(inputs), 1/sqrt(inputs)) of seed ${seed}`,
    optimizer: describeRule(manifest.optimizer, fused || chunk ? "as an input" : learningRate),
    groups: describeGroups(manifest.optimizer),
    [`FLOPs ${costUnit(inputs)}`]: describeCost(inputs, cost),
    target,
  };
}

/** How many tensors a table shows, and how many warnings of a kind. */
const SHOWN = 20;
const NOTES = 2;

/** The parameters that are trained, the constants that are not, with the reason, and the warnings. */
function sectionsOf({ manifest, checkpoint }: ModelArtifacts, source: Graph): string[] {
  const { trainable, frozen, warnings } = manifest;
  const state = decodeCheckpoint(checkpoint, artifactFiles.checkpoint);
  const row = (name: string) => {
    const tensor = state.trainable.get(name) ?? state.frozen.get(name);
    if (!tensor) throw new Error(`the checkpoint has no tensor ${name}`);
    return [name, `[${tensor.dims.join(", ")}]`, tensor.data.length];
  };
  const table = (title: string, names: readonly string[]) => {
    if (names.length === 0) return [];
    const rest = names.length - SHOWN;
    const shown = formatTable([title, "shape", "values"], names.slice(0, SHOWN).map(row));
    return [rest > 0 ? `${shown}\nand ${rest} others, which manifest.json lists` : shown];
  };
  return [
    ...table("trained", trainable),
    ...table("not chosen by --trainable", frozen),
    ...constantsTable(otherConstants(source, new Set([...trainable, ...frozen]))),
    ...(warnings.length > 0 ? [notesOf(warnings)] : []),
  ];
}

/** The warnings as lines: the first ones of each kind. */
function notesOf(warnings: ModelArtifacts["manifest"]["warnings"]): string {
  const codes = [...new Set(warnings.map(({ code }) => code))];
  const lines = codes.flatMap((code) => {
    const messages = warnings
      .filter((warning) => warning.code === code)
      .map(({ message }) => `Note: ${message}`);
    const rest = messages.length - NOTES;
    return rest > 0
      ? [...messages.slice(0, NOTES), `Note: ${rest} more of this kind are in manifest.json.`]
      : messages;
  });
  return lines.join("\n");
}
