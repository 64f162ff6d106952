import { LARGEST_CHECKPOINT } from "../artifacts/checkpoint-size.ts";
import { type ParameterSpec, type TrainingGraphs, trainingGraphs } from "../artifacts/index.ts";
import { initialTensor } from "../artifacts/initial-checkpoint.ts";
import { softCrossEntropy } from "../artifacts/soft-cross-entropy.ts";
import {
  type Binding,
  type BoundGraph,
  type Builder,
  createBuilder,
  dataTypeNumbers,
  elementCount,
  type GivenShape,
  Graph,
  Tensor,
  type TrainingForm,
  UserError,
  type Value,
} from "../graph-builder/index.ts";
import { evaluationJoining } from "./evaluation-joining.ts";
import { appendNetwork, imageShapeOf } from "./network.ts";
import { type ArtifactSettings, optimizerRule } from "./settings.ts";
import { trainingJoining } from "./training-joining.ts";

/** A graph with the tensors of the checkpoint that it reads, in the order of its inputs. */
export interface ParameterizedGraph extends BoundGraph {
  readonly parameters: readonly ParameterSpec[];
}

/** A ShakeNet in training form, and the values that its backward pass reads in the place of others. */
export interface ShakeNetForm extends TrainingForm {
  /** From each block's alpha to its beta. */
  readonly substitutes: ReadonlyMap<Value, Value>;
}

/** What is trained of a ShakeNet, for `generateArtifacts`: all of it, by its own loss. */
export const shakeNetTraining = {
  loss: { output: "loss" },
  additionalOutputs: ["correct"],
  evaluationOutputs: ["correct", "logits"],
} as const;

/**
 * The network with its loss. Both graphs take images uint8 [batch, channels, side, side] (the training graph
 * of any height and width where the settings say so) and labels int64 [batch], and return loss (mean
 * cross-entropy) and correct (int64, how many of the batch).
 * - The training graph also takes the random numbers of its noise, float [blocks, batch]: alpha and beta, and
 *   with ShakeDrop b. It normalises by the batch.
 * - The evaluation graph has their expectation in their place: it mixes the branches of a ShakeNet with 0.5.
 *   It normalises by the running statistics, and also returns logits float [batch, classes].
 */
export function shakeNetForm(settings: ArtifactSettings): ShakeNetForm {
  const specs = networkTensors(settings);
  expectFittingCheckpoint(specs, settings);
  const tensors = new Map(specs.map((spec) => [spec.name, initialTensor(spec, settings.seed)]));
  return formWith(settings, (spec) => tensors.get(spec.name) ?? zeros(spec));
}

/** Throws UserError where the weights and their momenta, of 4 bytes each, do not fit into one checkpoint. */
function expectFittingCheckpoint(specs: readonly ParameterSpec[], settings: ArtifactSettings): void {
  const count = specs.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  if (8 * count < LARGEST_CHECKPOINT) return;
  const [width, depth, classes] = [settings.width, settings.depth, settings.classes].map((each) =>
    each.toLocaleString("en-US"),
  );
  throw new UserError(
    `A network of depth ${depth}, width ${width} and ${classes} classes has ${count.toLocaleString("en-US")} parameters, and a checkpoint holds at most ${(LARGEST_CHECKPOINT / 8).toLocaleString("en-US")}: choose smaller ones.`,
    { code: "setting-invalid", details: { parameters: count } },
  );
}

/** The graphs of a ShakeNet's training, without initial weights. */
function graphsOf(settings: ArtifactSettings): TrainingGraphs {
  const form = formWith(settings, zeros);
  const tensors = networkTensors(settings);
  const named = (wanted: ParameterSpec["kind"]) =>
    new Set(tensors.flatMap(({ name, kind }) => (kind === wanted ? name : [])));
  return trainingGraphs({
    ...shakeNetTraining,
    form,
    substitutes: form.substitutes,
    trained: named("parameter"),
    frozen: named("constant"),
    rule: optimizerRule(settings),
    target: settings.target,
    fused: settings.fused === true,
  });
}

/** The training step of a ShakeNet as `generateArtifacts` makes it. Throws UserError for invalid settings. */
export function trainingModel(settings: ArtifactSettings): ParameterizedGraph {
  return { ...graphsOf(settings).training, parameters: networkTensors(settings) };
}

/**
 * The evaluation step of a ShakeNet as `generateArtifacts` makes it. Throws UserError for invalid settings.
 */
export function evaluationModel(settings: ArtifactSettings): Graph {
  return graphsOf(settings).evaluation;
}

function formWith(settings: ArtifactSettings, tensorOf: (spec: ParameterSpec) => Tensor): ShakeNetForm {
  const statistics = new Map<string, Tensor>();
  const appendTensor = (g: Builder) => (spec: ParameterSpec) => {
    if (spec.kind !== "statistic") return g.constant(tensorOf(spec), spec.name);
    statistics.set(spec.name, tensorOf(spec));
    return g.input(spec.name, "float", spec.shape);
  };
  const { graph, substitutes } = trainingForward(settings, appendTensor);
  const evaluation = evaluationForward(settings, appendTensor);
  const bindings = [...statistics.keys()].map((input): Binding => ({ role: "statistic", input }));
  return { graph, evaluation, statistics, bindings, substitutes };
}

type AppendTensor = (g: Builder) => (spec: ParameterSpec) => Value;

function trainingForward(
  settings: ArtifactSettings,
  appendTensor: AppendTensor,
): { readonly graph: Graph; readonly substitutes: ReadonlyMap<Value, Value> } {
  const g = createBuilder(new Graph("training"));
  const [channels, ...sides] = imageShapeOf(settings);
  const size = [channels, ...(settings.anySize ? ["height", "width"] : sides)];
  const { images, labels } = dataInputs(g, size, settings.softLabels ? settings.classes : undefined);
  const { substitutes, ...joining } = trainingJoining(g, settings);
  const logits = appendNetwork(g, images, settings, {
    isTraining: true,
    tensor: appendTensor(g),
    ...joining,
  });
  appendLoss(g, logits, labels, settings.labelSmoothing);
  return { graph: g.graph, substitutes };
}

function evaluationForward(settings: ArtifactSettings, appendTensor: AppendTensor): Graph {
  const g = createBuilder(new Graph("evaluation"));
  const { images, labels } = dataInputs(g, imageShapeOf(settings));
  const logits = appendNetwork(g, images, settings, {
    isTraining: false,
    tensor: appendTensor(g),
    ...evaluationJoining(g, settings),
  });
  appendLoss(g, logits, labels);
  g.output(logits, "logits");
  return g.graph;
}

/** The tensors of a network, in the order of its layers. */
export function networkTensors(settings: ArtifactSettings): ParameterSpec[] {
  const g = createBuilder(new Graph("tensors"));
  const specs: ParameterSpec[] = [];
  appendNetwork(g, dataInputs(g, imageShapeOf(settings)).images, settings, {
    isTraining: false,
    tensor: (spec) => {
      specs.push(spec);
      return g.input(spec.name, "float", spec.shape);
    },
    ...evaluationJoining(g, settings),
  });
  return specs;
}

/** Labels are the shares of some number of classes where that is given. */
function dataInputs(g: Builder, size: GivenShape, classes?: number): { images: Value; labels: Value } {
  return {
    images: g.input("images", "uint8", ["batch", ...size]),
    labels:
      classes === undefined
        ? g.input("labels", "int64", ["batch"])
        : g.input("labels", "float", ["batch", classes]),
  };
}

/**
 * Appends the outputs `loss` and `correct`. The loss is (1 - smoothing) times the cross-entropy with the
 * labels plus smoothing times that with all classes evenly, as PyTorch's CrossEntropyLoss.
 */
function appendLoss(g: Builder, logits: Value, labels: Value, smoothing = 0): void {
  g.scope("loss", () => {
    const isSoft = labels.elemType === "float";
    const best = (value: Value) => g.ArgMax(value, { axis: 1, keepdims: 0 });
    const plain = isSoft
      ? softCrossEntropy(g, logits, labels, { labelSmoothing: 0, reduction: "mean" })
      : g.SoftmaxCrossEntropyLoss(logits, labels)[0];
    g.output(smoothing === 0 ? plain : smooth(g, plain, logits, smoothing), "loss");
    const hits = g.Equal(best(logits), isSoft ? best(labels) : labels);
    const count = g.ReduceSum(g.Cast(hits, { to: dataTypeNumbers.float }), null, { keepdims: 0 });
    g.output(g.Cast(count, { to: dataTypeNumbers.int64 }), "correct");
  });
}

function smooth(g: Builder, loss: Value, logits: Value, smoothing: number): Value {
  const even = g.Neg(g.ReduceMean(g.LogSoftmax(logits, { axis: 1 }), { keepdims: 0 }));
  return g.Add(g.Mul(loss, g.float(1 - smoothing)), g.Mul(even, g.float(smoothing)));
}

function zeros({ shape }: ParameterSpec): Tensor {
  return new Tensor("float", shape, new Float32Array(shape.reduce((product, dim) => product * dim, 1)));
}
