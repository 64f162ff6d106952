import type { ParameterSpec } from "../artifacts/index.ts";
import {
  accumulateGradients,
  appendGradients,
  type Binding,
  type BoundGraph,
  type Builder,
  createBuilder,
  dataTypeNumbers,
  explicitBindings,
  explicitState,
  Graph,
  lowerGraph,
  loweringPasses,
  momentCounts,
  momentNames,
  portable,
  returnGradients,
  runPasses,
  updateInPlace,
  type Value,
} from "../graph-builder/index.ts";
import { shakeForward } from "./functions.ts";
import { appendNetwork, blockCount, imageShape } from "./network.ts";
import { type ArtifactSettings, optimizerRule } from "./settings.ts";

/** A graph with the tensors of the checkpoint that it reads, in the order of its inputs. */
export interface ParameterizedGraph extends BoundGraph {
  readonly parameters: readonly ParameterSpec[];
}

/**
 * The training step: images uint8 [batch, 3, 32, 32], labels int64 [batch], alpha and beta float [blocks,
 * batch] and the checkpoint's tensors in; loss (mean cross-entropy) and correct (int64, how many of the
 * batch) out, and the gradients:
 * - target ort-training: added into `<parameter>_grad.accumulation.buffer` inputs in place, or put there
 *   where `lazy_reset_grad`;
 * - target standard: outputs `<parameter>_grad` and `<statistic>_next`, in ai.onnx and the two shakenet
 *   functions alone. A fused model returns no gradients: it also takes `learning_rate` float [1], `step`
 *   int64 [1] for AdamW and the optimizer's moments, and updates the parameters and moments in place (target
 *   standard: outputs `<name>_next`).
 */
export function trainingModel(settings: ArtifactSettings): ParameterizedGraph {
  const g = createBuilder(new Graph("training"));
  const { images, labels } = dataInputs(g);
  const blocks = blockCount(settings);
  const alpha = g.input("alpha", "float", [blocks, "batch"]);
  const beta = g.input("beta", "float", [blocks, "batch"]);
  const specs: ParameterSpec[] = [];
  const parameters: Value[] = [];
  const betas = new Map<Value, Value>();
  const logits = appendNetwork(g, images, settings, {
    isTraining: true,
    tensor: (spec) => {
      const value = g.input(spec.name, "float", spec.shape);
      specs.push(spec);
      if (spec.kind === "parameter") parameters.push(value);
      return value;
    },
    mix: (branch1, branch2, block) => {
      const weight = g.Gather(alpha, g.int64(block));
      betas.set(weight, g.Gather(beta, g.int64(block)));
      return g.call(shakeForward, [branch1, branch2, weight]);
    },
  });
  const loss = appendLoss(g, logits, labels);
  const gradients = appendGradients(g, loss, parameters, betas);
  const { graph, bindings } = withTarget(settings, {
    graph: g.graph,
    bindings: [...statisticBindings(specs), ...appendStep(g, parameters, gradients, settings)],
  });
  if (settings.fused) specs.push(...momentSpecs(specs, settings));
  return { graph, bindings, parameters: specs };
}

/**
 * Appends the update, the accumulation or the outputs of the gradients. Returns the bindings of all state
 * except the statistics.
 */
function appendStep(
  g: Builder,
  parameters: readonly Value[],
  gradients: readonly Value[],
  settings: ArtifactSettings,
): Binding[] {
  if (settings.fused) return updateInPlace(g, parameters, gradients, optimizerRule(settings));
  const append = settings.target === "ort-training" ? accumulateGradients : returnGradients;
  return append(g, parameters, gradients);
}

function withTarget({ target }: ArtifactSettings, bound: BoundGraph): BoundGraph {
  if (target === "ort-training") return bound;
  // calls of the two functions stay single nodes, so that graph viewers show them
  const passes = [explicitState, ...loweringPasses(portable)];
  return { graph: runPasses(bound.graph, passes), bindings: explicitBindings(bound) };
}

function statisticBindings(specs: readonly ParameterSpec[]): Binding[] {
  return specs.flatMap(({ name, kind }): Binding[] =>
    kind === "statistic" ? [{ role: kind, input: name }] : [],
  );
}

/**
 * The evaluation step: 0.5 for both branches and the running statistics; loss, correct and logits float
 * [batch, classes] out.
 */
export function evaluationModel(settings: ArtifactSettings): Graph {
  const g = createBuilder(new Graph("evaluation"));
  const { images, labels } = dataInputs(g);
  const specs: ParameterSpec[] = [];
  const logits = appendNetwork(g, images, settings, {
    isTraining: false,
    tensor: (spec) => {
      specs.push(spec);
      return g.input(spec.name, "float", spec.shape);
    },
    mix: (branch1, branch2) => evenMix(g, branch1, branch2),
  });
  appendLoss(g, logits, labels);
  g.output(logits, "logits");
  // ONNX Runtime feeds an eval model every tensor of the training model, by position
  if (settings.fused) {
    for (const { name, shape } of momentSpecs(specs, settings)) g.input(name, "float", shape);
  }
  return settings.target === "standard" ? lowerGraph(g.graph, portable) : g.graph;
}

/** The tensors of a network, in the order of its layers. */
export function networkTensors(settings: ArtifactSettings): ParameterSpec[] {
  const g = createBuilder(new Graph("tensors"));
  const specs: ParameterSpec[] = [];
  appendNetwork(g, dataInputs(g).images, settings, {
    isTraining: false,
    tensor: (spec) => {
      specs.push(spec);
      return g.input(spec.name, "float", spec.shape);
    },
    mix: (branch1, branch2) => evenMix(g, branch1, branch2),
  });
  return specs;
}

/** (branch1 + branch2) / 2, which equals ShakeForward with alpha = 0.5. */
export function evenMix(g: Builder, branch1: Value, branch2: Value): Value {
  return g.Mul(g.Add(branch1, branch2), g.float(0.5));
}

function dataInputs(g: Builder): { images: Value; labels: Value } {
  return {
    images: g.input("images", "uint8", ["batch", ...imageShape]),
    labels: g.input("labels", "int64", ["batch"]),
  };
}

/** Appends the outputs `loss` and `correct` and returns the loss. */
function appendLoss(g: Builder, logits: Value, labels: Value): Value {
  return g.scope("loss", () => {
    const loss = g.output(g.SoftmaxCrossEntropyLoss(logits, labels)[0], "loss");
    const hits = g.Equal(g.ArgMax(logits, { axis: 1, keepdims: 0 }), labels);
    const count = g.ReduceSum(g.Cast(hits, { to: dataTypeNumbers.float }), null, { keepdims: 0 });
    g.output(g.Cast(count, { to: dataTypeNumbers.int64 }), "correct");
    return loss;
  });
}

/** The moments that a fused training model keeps in the checkpoint. */
function momentSpecs(specs: readonly ParameterSpec[], settings: ArtifactSettings): ParameterSpec[] {
  const count = momentCounts[optimizerRule(settings).kind];
  return specs
    .filter(({ kind }) => kind === "parameter")
    .flatMap(({ name, shape }) =>
      momentNames(name, count).map((moment) => ({
        name: moment,
        shape,
        kind: "moment" as const,
        initialization: "zeros" as const,
      })),
    );
}
