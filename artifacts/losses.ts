import {
  type Builder,
  dataTypeNumbers,
  freeName,
  type Graph,
  int64s,
  type Shape,
  shown,
  UserError,
  Value,
} from "../graph-builder/index.ts";
import { expectLoss, invalidLoss } from "./loss-checks.ts";
import type { LossName } from "./loss-names.ts";
import { outputNamed } from "./outputs.ts";
import { softCrossEntropy } from "./soft-cross-entropy.ts";

export { type LossName, lossNames } from "./loss-names.ts";

/** What every named loss may say. */
interface TargetedLoss {
  /** The output of the model, or a value inside it, that the loss reads, where the model has several. */
  readonly input?: string | undefined;
  /**
   * The name of the graph's input with what is wanted: `labels` for cross-entropy, `target` for the others.
   */
  readonly target?: string | undefined;
  /** The mean, which is the default, or the sum over all elements. */
  readonly reduction?: "mean" | "sum" | undefined;
}

/**
 * Cross-entropy of scores float [batch, classes, ...] and labels int64 [batch, ...], as
 * torch.nn.CrossEntropyLoss. A mean over labels that are all ignored is 0, with the gradient 0.
 */
export interface CrossEntropy extends TargetedLoss {
  readonly type: "cross-entropy";
  /** One weight a class; the mean is divided by the weights of the labels. */
  readonly classWeights?: readonly number[] | undefined;
  /** Labels of this value do not count; -100 where it is left out, as in PyTorch. */
  readonly ignoreIndex?: number | undefined;
  /** The part of a label that is spread over all classes evenly, from 0 to 1; 0 by default. */
  readonly labelSmoothing?: number | undefined;
  /**
   * Labels are float [batch, classes, ...], the share of every class, as mixup and cutmix make them. All
   * labels count, so there is no `ignoreIndex`, and the mean is over all of them.
   */
  readonly softLabels?: boolean | undefined;
}

/** The mean squared or absolute error of the output and a target of the same shape. */
export interface ErrorLoss extends TargetedLoss {
  readonly type: "mse" | "l1";
}

/** Binary cross-entropy of logits and targets from 0 to 1 of the same shape (torch.nn.BCEWithLogitsLoss). */
export interface BceWithLogits extends TargetedLoss {
  readonly type: "bce-with-logits";
  /** The weights of positive targets; one number, or one for each entry of the last axis. */
  readonly positiveWeights?: readonly number[] | undefined;
}

/** An output of the model that is the loss already. */
export interface OutputLoss {
  readonly output: string;
}

/**
 * A loss of one's own: appends its nodes, and inputs by `g.input`, and returns a float scalar. `outputs` are
 * the model's outputs by name.
 */
export type LossFunction = (g: Builder, outputs: Readonly<Record<string, Value>>) => Value;

/** One loss. */
export type SingleLoss = LossName | CrossEntropy | ErrorLoss | BceWithLogits | OutputLoss | LossFunction;

/** A term of a weighted sum of losses. */
export interface WeightedLoss {
  readonly loss: SingleLoss;
  /** The factor of the term; 1 by default. */
  readonly weight?: number | undefined;
}

/** What a training minimises: a loss, or a weighted sum of several. */
export type Loss = SingleLoss | readonly WeightedLoss[];

/** The names that the inputs of named losses take by default. */
export const targetNames = {
  "cross-entropy": "labels",
  mse: "target",
  l1: "target",
  "bce-with-logits": "target",
};

/** What a loss is appended to. */
export interface LossContext {
  /** What the loss reads (`valuesOfLoss`), by name. */
  readonly outputs: ReadonlyMap<string, Value>;
  /** The value that a loss reads where it says none itself. */
  readonly lossInput: string | undefined;
  /** The names of the graph's inputs so far, to which the names of targets are added. */
  readonly taken: Set<string>;
}

/**
 * Appends a loss and returns it as a float scalar. Throws UserError for an output that the model does not
 * have, for scores that do not fit the loss, and for options outside their range.
 */
export function appendLoss(g: Builder, loss: Loss, context: LossContext): Value {
  if (!isList(loss)) return appendSingle(g, loss, context);
  const terms = loss.map(({ loss: single, weight = 1 }) => {
    const term = appendSingle(g, single, context);
    return weight === 1 ? term : g.Mul(term, g.float(weight));
  });
  return terms.reduce((sum, term) => g.Add(sum, term));
}

/**
 * The values of a graph that a loss reads: outputs, in their order, then values inside the graph. A function
 * reads `lossInput`, or all outputs. Throws UserError for what is no loss, and for a value that the graph
 * does not have.
 */
export function valuesOfLoss(loss: Loss, graph: Graph, lossInput: string | undefined): Value[] {
  const { outputs } = graph;
  expectLoss(loss);
  const names = outputs.map(({ name = "" }) => name);
  const singles = isList(loss) ? loss.map((term) => term.loss) : [loss];
  const read = new Set(
    singles.flatMap((single) => {
      if (typeof single === "function") return lossInput === undefined ? names : [lossInput];
      const said = isOutput(single) ? single.output : (withName(single).input ?? lossInput);
      return [said ?? onlyOutput(names)];
    }),
  );
  const inner = [...read].filter((name) => !names.includes(name)).map((name) => outputNamed(graph, name));
  return [...outputs.filter(({ name = "" }) => read.has(name)), ...inner];
}

/** The value that a loss reads where it says none itself. */
export function lossInputOf({ outputs }: Graph, lossInput: string | undefined): string | undefined {
  return lossInput ?? (outputs.length === 1 ? outputs[0]?.name : undefined);
}

/** The output of a graph that is its loss already; undefined where the loss is another. */
export function lossOutput(loss: Loss, { outputs }: Graph): Value | undefined {
  if (isList(loss) || typeof loss !== "object" || !isOutput(loss)) return undefined;
  return outputs.find(({ name }) => name === loss.output);
}

function isList(loss: Loss): loss is readonly WeightedLoss[] {
  return Array.isArray(loss);
}

function isOutput(loss: SingleLoss): loss is OutputLoss {
  return typeof loss === "object" && "output" in loss;
}

function withName(
  loss: Exclude<SingleLoss, LossFunction | OutputLoss>,
): CrossEntropy | ErrorLoss | BceWithLogits {
  return typeof loss === "string" ? { type: loss } : loss;
}

function appendSingle(g: Builder, loss: SingleLoss, context: LossContext): Value {
  const names = [...context.outputs.keys()];
  if (typeof loss === "function") return resultOf(g, loss, context);
  if (isOutput(loss)) return asScalar(g, outputOf(context, loss.output), "it");
  const named = withName(loss);
  const output = outputOf(context, named.input ?? context.lossInput ?? onlyOutput(names));
  return g.scope("loss", () => appendNamed(g, named, asFloat(g, output), context));
}

function resultOf(g: Builder, loss: LossFunction, { outputs }: LossContext): Value {
  const result: unknown = loss(g, Object.fromEntries(outputs));
  if (result instanceof Value) return asScalar(g, result, "its result");
  const what = result instanceof Promise ? "a promise" : shown(result);
  throw invalidLoss(`The function of the loss returned ${what}, and must return a value of the graph.`);
}

function appendNamed(
  g: Builder,
  loss: CrossEntropy | ErrorLoss | BceWithLogits,
  output: Value,
  { taken }: LossContext,
): Value {
  const name = freeName(loss.target ?? targetNames[loss.type], taken);
  if (loss.type === "cross-entropy") {
    const classes = output.shape[1];
    if (typeof classes !== "number") {
      throw misfit(
        `cross-entropy needs scores [batch, classes, ...], not [${output.shape.join(", ")}]`,
        output,
      );
    }
    const labels = loss.softLabels
      ? g.input(name, "float", output.shape)
      : g.input(name, "int64", output.shape.toSpliced(1, 1));
    return crossEntropy(g, loss, output, labels, classes);
  }
  const target = g.input(name, "float", output.shape);
  const losses =
    loss.type === "bce-with-logits"
      ? bceWithLogits(g, loss, output, target)
      : errors(g, loss, output, target);
  return reduced(g, loss, losses);
}

/**
 * How many labels have the highest score, int64: for a cross-entropy, whose only target is `labels`. Throws
 * UserError for another loss.
 */
export function correctLabels(
  g: Builder,
  loss: Loss,
  { outputs, lossInput }: Omit<LossContext, "taken">,
  [labels]: readonly Value[],
): Value {
  const named: Loss = loss === "cross-entropy" ? { type: loss } : loss;
  const isKnown = typeof named === "object" && "type" in named && named.type === "cross-entropy";
  if (!isKnown || !labels) {
    throw invalidLoss("correct labels are counted with cross-entropy alone: leave countCorrect out.");
  }
  const name = named.input ?? lossInput ?? onlyOutput([...outputs.keys()]);
  const scores = outputOf({ outputs }, name);
  return g.scope("correct", () => {
    const best = (value: Value) => g.ArgMax(value, { axis: 1, keepdims: 0 });
    const hits = g.Equal(best(scores), named.softLabels ? best(labels) : labels);
    const count = g.ReduceSum(g.Cast(hits, { to: dataTypeNumbers.float }), null, { keepdims: 0 });
    return g.Cast(count, { to: dataTypeNumbers.int64 });
  });
}

function reduced(g: Builder, { reduction = "mean" }: TargetedLoss, losses: Value): Value {
  return reduction === "mean"
    ? g.ReduceMean(losses, { keepdims: 0 })
    : g.ReduceSum(losses, null, { keepdims: 0 });
}

function errors(g: Builder, { type }: ErrorLoss, output: Value, target: Value): Value {
  const error = g.Sub(output, target);
  return type === "mse" ? g.Mul(error, error) : g.Abs(error);
}

/**
 * (1 - t) x + (1 + (p - 1) t) (log(1 + exp(-|x|)) + max(-x, 0)), which does not overflow; p is the weight of
 * positive targets.
 */
function bceWithLogits(g: Builder, { positiveWeights }: BceWithLogits, x: Value, t: Value): Value {
  const one = g.float(1);
  // log(1 + exp(-x)), which is -log sigmoid(x)
  const softplus = g.Add(g.Log(g.Add(one, g.Exp(g.Neg(g.Abs(x))))), g.Max(g.Neg(x), g.float(0)));
  if (!positiveWeights) return g.Add(g.Mul(g.Sub(one, t), x), softplus);
  expectNumbers("positiveWeights", positiveWeights, x.shape.at(-1), "the last axis");
  const p = g.float(positiveWeights.map((weight) => weight - 1));
  return g.Add(g.Mul(g.Sub(one, t), x), g.Mul(g.Add(one, g.Mul(p, t)), softplus));
}

function crossEntropy(g: Builder, loss: CrossEntropy, scores: Value, labels: Value, classes: number): Value {
  const { classWeights, ignoreIndex = -100, labelSmoothing = 0, reduction = "mean" } = loss;
  if (classWeights) expectNumbers("classWeights", classWeights, classes, "the classes");
  if (classWeights?.every((weight) => weight === 0)) {
    throw invalidLoss("classWeights are all 0, so no label counts: give one above 0.");
  }
  if (loss.softLabels) {
    if (loss.ignoreIndex !== undefined) throw invalidLoss("Soft labels have no ignoreIndex: leave it out.");
    return softCrossEntropy(g, scores, labels, { labelSmoothing, reduction, classWeights });
  }
  const weights = classWeights ? g.float(classWeights) : null;
  const settings = { ignore_index: ignoreIndex, reduction };
  if (labelSmoothing === 0) return g.SoftmaxCrossEntropyLoss(scores, labels, weights, settings)[0];
  const sharp = g.SoftmaxCrossEntropyLoss(scores, labels, weights, { ...settings, reduction: "sum" })[0];
  const even = smoothLoss(g, scores, labels, weights, settings);
  const total = g.Add(
    g.Mul(sharp, g.float(1 - labelSmoothing)),
    g.Mul(even.total, g.float(labelSmoothing / classes)),
  );
  return reduction === "sum" ? total : g.Div(total, even.weight);
}

/** The sum of -log softmax over all classes of the labels that count, and the weight of these labels. */
function smoothLoss(
  g: Builder,
  scores: Value,
  labels: Value,
  weights: Value | null,
  { ignore_index }: { readonly ignore_index: number },
): { readonly total: Value; readonly weight: Value } {
  const spatial = scores.shape.slice(2).map(() => 1);
  const ignored = g.Equal(labels, g.int64(ignore_index));
  const counted = g.Cast(g.Not(ignored), { to: dataTypeNumbers.float });
  const logProb = g.LogSoftmax(scores, { axis: 1 });
  const perClass = weights
    ? g.Mul(logProb, g.Reshape(weights, g.constant(int64s([1, -1, ...spatial]))))
    : logProb;
  const perLabel = g.Neg(g.ReduceSum(perClass, g.int64([1]), { keepdims: 0 }));
  const known = g.Where(ignored, g.int64(0), labels);
  const each = weights ? g.Mul(g.Gather(weights, known), counted) : counted;
  const weight = g.ReduceSum(each, null, { keepdims: 0 });
  return {
    total: g.ReduceSum(g.Mul(perLabel, counted), null, { keepdims: 0 }),
    weight: g.Where(g.Equal(weight, g.float(0)), g.float(1), weight),
  };
}

function asFloat(g: Builder, value: Value): Value {
  if (value.elemType === "float") return value;
  if (["float16", "bfloat16", "double"].includes(value.elemType))
    return g.Cast(value, { to: dataTypeNumbers.float });
  throw misfit(`a loss reads floats, and this output is ${value.elemType}`, value);
}

function asScalar(g: Builder, value: Value, what: string): Value {
  const float = asFloat(g, value);
  if (float.shape.length === 0) return float;
  if (float.shape.every((dim) => dim === 1)) return g.Reshape(float, g.constant(int64s([], [0])));
  throw misfit(`${what} is not one number, and a loss is a float scalar`, value);
}

/** The only output of a model. Throws UserError where there are several. */
function onlyOutput(names: readonly string[]): string {
  const [only, ...others] = names;
  if (only !== undefined && others.length === 0) return only;
  throw new UserError(
    `The model has the outputs ${names.join(", ")}: say which the loss reads (lossInput).`,
    {
      code: "setting-missing",
      details: { setting: "lossInput", outputs: names },
    },
  );
}

function outputOf({ outputs }: Pick<LossContext, "outputs">, name: string): Value {
  const value = outputs.get(name);
  if (!value) throw new TypeError(`there is no output ${name}`);
  return value;
}

function expectNumbers(
  name: string,
  values: readonly number[],
  size: Shape[number] | undefined,
  of: string,
): void {
  const fits =
    typeof size !== "number" || values.length === size || (values.length === 1 && of !== "the classes");
  if (!fits) throw invalidLoss(`${name} has ${values.length} numbers, and there are ${size} for ${of}.`);
}

function misfit(reason: string, { name, shape }: Value): UserError {
  return new UserError(
    `The loss does not fit the output${name === undefined ? "" : ` ${name}`}: ${reason}.`,
    {
      code: "setting-conflict",
      details: { output: name, shape: shape.map(String) },
    },
  );
}
