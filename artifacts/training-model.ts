import {
  appendGradients,
  appendNetwork,
  type Builder,
  blockCount,
  createBuilder,
  dataTypeNumbers,
  Graph,
  imageShape,
  lowerGraph,
  type ParameterSpec,
  portable,
  type Value,
  withExplicitState,
} from "../graph-builder/index.ts";
import type { ArtifactSettings } from "./settings.ts";

/** A graph with the tensors of the checkpoint that it reads, in the order of its inputs. */
export interface ParameterizedGraph {
  readonly graph: Graph;
  readonly parameters: readonly ParameterSpec[];
}

/**
 * The training step: images uint8 [batch, 3, 32, 32], labels int64 [batch], alpha and beta float [blocks, batch] and the
 * checkpoint's tensors in; loss (mean cross-entropy) and correct (int64, how many of the batch) out, and the gradients:
 * - target ort-training: added into `<parameter>_grad.accumulation.buffer` inputs in place, or put there where `lazy_reset_grad`;
 * - target standard: outputs `<parameter>_grad` and `<statistic>_next`, in ai.onnx and the two shakenet functions alone.
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
      return g.ShakeForward(branch1, branch2, weight);
    },
  });
  const loss = appendLoss(g, logits, labels);
  const gradients = appendGradients(g, loss, parameters, betas);
  const named = parameters.map((parameter, i) => ({ name: parameter.name ?? "", gradient: gradients[i] }));
  if (settings.target === "ort-training") appendAccumulators(g, named);
  else for (const { name, gradient } of named) if (gradient) g.output(gradient, `${name}_grad`);
  const graph = settings.target === "standard" ? lowerGraph(withExplicitState(g.graph), portable) : g.graph;
  return { graph, parameters: specs };
}

/** The evaluation step: 0.5 for both branches and the running statistics; loss, correct and logits float [batch, classes] out. */
export function evaluationModel(settings: ArtifactSettings): Graph {
  const g = createBuilder(new Graph("evaluation"));
  const { images, labels } = dataInputs(g);
  const logits = appendNetwork(g, images, settings, {
    isTraining: false,
    tensor: ({ name, shape }) => g.input(name, "float", shape),
    mix: (branch1, branch2) => evenMix(g, branch1, branch2),
  });
  appendLoss(g, logits, labels);
  g.output(logits, "logits");
  return settings.target === "standard" ? lowerGraph(g.graph, portable) : g.graph;
}

/** (branch1 + branch2) / 2: what alpha = 0.5 makes of ShakeForward. */
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

/** ONNX Runtime's gradient accumulation, with the names that its training contract asks for. */
function appendAccumulators(
  g: Builder,
  gradients: readonly { name: string; gradient: Value | undefined }[],
): void {
  const buffers = gradients.map(({ name, gradient }) => ({
    name: `${name}_grad.accumulation`,
    gradient,
    buffer: g.inputOf(
      `${name}_grad.accumulation.buffer`,
      gradient?.type ?? { kind: "sequence", elemType: "float" },
    ),
  }));
  const reset = g.input("lazy_reset_grad", "bool", [1]);
  for (const [i, { name, gradient, buffer }] of buffers.entries()) {
    if (!gradient) continue;
    const node = g.node("InPlaceAccumulatorV2", [buffer, gradient, reset], {}, `GradientAccumulator${i}`);
    g.output(node.output(0), `${name}.out`);
  }
}
