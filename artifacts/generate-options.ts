import { didYouMean, type ExternalData, shown, UserError, type Value } from "../graph-builder/index.ts";
import type { LoraOptions } from "./adapters.ts";
import { invalid, isObject, isText } from "./given-values.ts";
import { expectRate } from "./learning-rate.ts";
import type { Loss } from "./losses.ts";
import { type GivenRule, type OptimizerName, type Target, targets } from "./settings.ts";
import type { Trainable } from "./trainable.ts";

/** The settings of `generateArtifacts`. */
export interface GenerateOptions {
  /** Which parameters are trained; `all` by default. The others are kept in the checkpoint as they are. */
  readonly trainable?: Trainable | undefined;
  readonly loss: Loss;
  /**
   * The output of the model that the loss reads, where the model has several and the loss says none; or the
   * name of a value inside the model.
   */
  readonly lossInput?: string | undefined;
  /**
   * An optimizer's name, or its rule; AdamW by default. Constants that are not given are PyTorch's.
   */
  readonly optimizer?: OptimizerName | GivenRule | undefined;
  /** The learning rate that a session starts with; 0.001 by default. */
  readonly learningRate?: number | undefined;
  /**
   * The factor of the learning rate of all parameters but those of the last layer; 1 by default. A smaller
   * one suits a model that has learnt before.
   */
  readonly bodyRate?: number | undefined;
  /** Outputs of the model, or values inside it, that both models return behind `loss`. */
  readonly additionalOutputs?: readonly string[] | undefined;
  /**
   * Also returns `correct`, int64: how many labels have the highest score of their row. Only with
   * cross-entropy.
   */
  readonly countCorrect?: boolean | undefined;
  /**
   * The outputs of the evaluation model behind `loss`; by default those that the loss reads, and the
   * additional ones.
   */
  readonly evaluationOutputs?: readonly string[] | undefined;
  /**
   * The operators of the models: ONNX Runtime's training operators, which is the default, or ai.onnx alone.
   */
  readonly target?: Target | undefined;
  /** Puts the optimizer's update into the training model; there is no optimizer model then. */
  readonly fused?: boolean | undefined;
  /**
   * Also makes `epochModel`, a chunk of the steps of a fused training model in one call, and `initialState`.
   * Needs the target standard, and fuses the training model.
   */
  readonly chunk?: boolean | undefined;
  /**
   * Another number of classes: the last layer before the loss is replaced, with new weights drawn from the
   * seed. The model must be a file or a `Model`.
   */
  readonly classes?: number | undefined;
  /** The seed of new weights and of the masks of dropouts, which the checkpoint keeps; 0 by default. */
  readonly seed?: number | undefined;
  /**
   * The files beside the model that hold elements of its tensors, by their location (`externalLocations`).
   * The model must be the bytes of its file.
   */
  readonly externalData?: ExternalData | undefined;
  /**
   * Trains low-rank adapters of weights; the weights stay as they are, and `trainable` then names what is
   * trained beside them.
   */
  readonly lora?: LoraOptions | undefined;
  /** Further properties of the checkpoint. */
  readonly properties?: ReadonlyMap<string, bigint | string> | undefined;
  /** Values of the network's graph, and those that the backward pass reads in their place. */
  readonly substitutes?: ReadonlyMap<Value, Value> | undefined;
  /** What errors call the file of the model; `the model` where left out. */
  readonly where?: string | undefined;
  /** The name of the model in the doc strings of the files; the graph's name by default. */
  readonly name?: string | undefined;
  /** The doc strings of the models, where they are not those that the name gives. */
  readonly docStrings?:
    | Partial<Readonly<Record<"training" | "evaluation" | "optimizer", string>>>
    | undefined;
}

/** The names of all options. */
const known = Object.keys({
  trainable: true,
  loss: true,
  lossInput: true,
  optimizer: true,
  learningRate: true,
  bodyRate: true,
  additionalOutputs: true,
  countCorrect: true,
  evaluationOutputs: true,
  target: true,
  fused: true,
  chunk: true,
  classes: true,
  seed: true,
  externalData: true,
  lora: true,
  properties: true,
  substitutes: true,
  where: true,
  name: true,
  docStrings: true,
} satisfies Record<keyof GenerateOptions, true>);

/** What an option must be that has values of one kind. */
const kinds: readonly (readonly [keyof GenerateOptions, string, (value: unknown) => boolean])[] = [
  ["target", targets.join(" or "), (value) => targets.some((target) => target === value)],
  ["seed", "a whole number from 0 to 2^53 - 1", (value) => Number.isSafeInteger(value) && Number(value) >= 0],
  ["trainable", "a text, a list of texts or a function", isTrainable],
  ["lossInput", "a text", isText],
  ["classes", "a whole number from 1", (value) => Number.isInteger(value) && Number(value) >= 1],
  ["externalData", "a Map of bytes by location", isBytes],
  ["fused", "true or false", isTruth],
  ["chunk", "true or false", isTruth],
  ["countCorrect", "true or false", isTruth],
  ["properties", "a Map of texts and bigints by name", isProperties],
  ["substitutes", "a Map of values of the graph", (value) => value instanceof Map],
  ["where", "a text", isText],
  ["name", "a text", isText],
  ["docStrings", "an object of texts", (value) => isObject(value) && Object.values(value).every(isText)],
];

/**
 * Checks options by themselves, for programs without types. Throws UserError for a misspelt option, without a
 * loss, and for an option that is not of its kind.
 */
export function expectOptions(options: GenerateOptions): void {
  const given: Readonly<Record<string, unknown>> = { ...options };
  expectNames("generateArtifacts", "option", given, known);
  if (given.loss === undefined || given.loss === null) {
    throw new UserError("generateArtifacts needs the option loss: what training minimises.", {
      code: "setting-missing",
      details: { setting: "loss" },
    });
  }
  const { learningRate, bodyRate, lora, additionalOutputs, evaluationOutputs } = options;
  if (learningRate !== undefined) expectRate(learningRate);
  if (bodyRate !== undefined) expectRate(bodyRate, "bodyRate");
  for (const [name, wanted, isSo] of kinds) {
    const value = given[name];
    if (value !== undefined && !isSo(value)) {
      throw invalid(name, `${name} must be ${wanted}, not ${shown(value)}.`);
    }
  }
  for (const [name, outputs] of Object.entries({ additionalOutputs, evaluationOutputs })) {
    if (outputs !== undefined) expectOutputs(name, outputs);
  }
  if (lora !== undefined) expectLora(lora);
}

function isTruth(value: unknown): boolean {
  return typeof value === "boolean";
}

function isTexts(value: unknown): boolean {
  return isText(value) || (Array.isArray(value) && value.every(isText));
}

function isTrainable(value: unknown): boolean {
  return typeof value === "function" || isTexts(value);
}

function isBytes(value: unknown): boolean {
  return value instanceof Map && [...value.values()].every((bytes) => bytes instanceof Uint8Array);
}

function isProperties(value: unknown): boolean {
  return (
    value instanceof Map && [...value.values()].every((each) => isText(each) || typeof each === "bigint")
  );
}

function expectLora(lora: unknown): void {
  if (!isObject(lora)) {
    throw invalid("lora", `lora must be an object such as { rank: 4 }, not ${shown(lora)}.`);
  }
  const settings = ["rank", "alpha", "targets"] satisfies readonly (keyof LoraOptions)[];
  expectNames("lora", "setting", lora, settings);
  const { rank, alpha, targets } = lora;
  if (!(Number.isInteger(rank) && Number(rank) >= 1)) {
    throw invalid("lora", `The rank of lora must be a whole number from 1, not ${shown(rank)}.`);
  }
  if (alpha !== undefined && !(Number.isFinite(alpha) && Number(alpha) > 0)) {
    throw invalid("lora", `The alpha of lora must be a number above 0, not ${shown(alpha)}.`);
  }
  if (targets !== undefined && !isTexts(targets)) {
    throw invalid("lora", `The targets of lora must be a text or a list of texts, not ${shown(targets)}.`);
  }
}

function expectNames(what: string, kind: string, given: object, names: readonly string[]): void {
  const other = Object.keys(given).find((name) => !names.includes(name));
  if (other === undefined) return;
  throw invalid(other, `${what} has no ${kind} ${other}.${didYouMean(other, names)}`);
}

/** Throws UserError for what is no list of different names. */
export function expectOutputs(option: string, outputs: unknown): void {
  if (!Array.isArray(outputs) || !outputs.every(isText)) {
    throw invalid(option, `${option} must be a list of names, not ${shown(outputs)}.`);
  }
  const again = outputs.find((name, i) => outputs.indexOf(name) !== i);
  if (again !== undefined) throw invalid(option, `${option} has ${again} twice.`);
}
