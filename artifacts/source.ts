import {
  decodeModel,
  type ExternalData,
  encodeModel,
  Graph,
  type Model,
  UserError,
  withDataInside,
  withInferenceLayers,
  withOwnStatistics,
} from "../graph-builder/index.ts";
import type { GenerateOptions } from "./generate-options.ts";
import { type Loss, valuesOfLoss } from "./losses.ts";
import { replaceHead } from "./replace-head.ts";

/** The file that a model comes from. */
export interface Source {
  readonly bytes: Uint8Array;
  readonly model: Model;
  /** The last layer where it has been replaced. */
  readonly newHead?: { readonly classes: number; readonly tensors: readonly string[] };
}

/** What decides about the source of a training. */
export interface SourceOptions {
  readonly where?: string | undefined;
  readonly externalData?: ExternalData | undefined;
  readonly loss: Loss;
  readonly lossInput?: string | undefined;
  readonly classes?: number | undefined;
  readonly seed?: number | undefined;
}

/**
 * The file of a model, in inference form, with a last layer for another number of classes where they are
 * given; undefined for a graph, which has no file. Throws UserError where the last layer cannot be told, and
 * for options that need a file where there is none.
 */
export function sourceOf(trained: Uint8Array | Model | Graph, options: SourceOptions): Source | undefined {
  const { where = "the model", externalData = new Map<string, Uint8Array>(), classes, seed = 0 } = options;
  const isFile = trained instanceof Uint8Array;
  if (!isFile) expectLeftOut("externalData", options.externalData);
  if (trained instanceof Graph) {
    expectLeftOut("classes", classes);
    return undefined;
  }
  const file = isFile ? withDataInside(trained, externalData, where) : encodeModel(trained);
  const bytes = withOwnStatistics(withInferenceLayers(file, where), where);
  const model = isFile || bytes !== file ? decoded(bytes, where) : trained;
  if (classes === undefined) return { bytes, model };
  const output = singleOutput(model.graph, options);
  const { bytes: replaced, names } = replaceHead(bytes, model, output, { classes, seed });
  if (names.length === 0) return { bytes, model };
  return { bytes: replaced, model: decoded(replaced, where), newHead: { classes, tensors: names } };
}

function decoded(bytes: Uint8Array, where: string): Model {
  return decodeModel(bytes, where, { uncovered: "keep" });
}

/** The options that not every kind of model has a place for, and what they need. */
const needs = {
  classes: "the model with its file: give the bytes, or a Model, not a graph",
  externalData: "the bytes of the file that it lies beside: give them, not a Model or a graph",
  lora: "the model before it is in training form: give the bytes, a Model or a Graph",
} as const satisfies Partial<Record<keyof GenerateOptions, string>>;

function expectLeftOut(setting: keyof typeof needs, given: unknown): void {
  if (given === undefined) return;
  throw new UserError(`${setting} needs ${needs[setting]}.`, {
    code: "setting-conflict",
    details: { setting },
  });
}

/** Throws UserError for options that change a model, beside one whose training graph somebody has made. */
export function expectUnchanged({ classes, externalData, lora }: GenerateOptions): void {
  expectLeftOut("classes", classes);
  expectLeftOut("externalData", externalData);
  expectLeftOut("lora", lora);
}

function singleOutput(graph: Graph, { loss, lossInput }: SourceOptions): string {
  const [output, ...others] = valuesOfLoss(loss, graph, lossInput);
  if (output?.name !== undefined && others.length === 0) return output.name;
  throw new UserError("classes needs a loss that reads one output: say which with lossInput.", {
    code: "setting-conflict",
    details: { setting: "classes" },
  });
}

/** Throws UserError where the new last layer is not trained. */
export function expectTrainedHead(newHead: Source["newHead"], trained: ReadonlySet<string>): void {
  const left = newHead?.tensors.find((name) => !trained.has(name));
  if (left === undefined) return;
  throw new UserError(`${left} is new, and would stay untrained: let trainable name it too, or head.`, {
    code: "setting-conflict",
    details: { setting: "trainable", parameter: left },
  });
}
