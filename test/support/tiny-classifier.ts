import { encodeCheckpoint, initialCheckpoint, type ParameterSpec } from "../../artifacts/index.ts";
import {
  appendGradients,
  at,
  type Builder,
  bindModel,
  createBuilder,
  createModel,
  dataTypeNumbers,
  encodeModel,
  Graph,
  optimizerGraph,
  returnGradients,
} from "../../graph-builder/index.ts";
import type { Dataset } from "../../runtime/index.ts";

/** Pictures of 2 channels, 6 high and 10 wide. Pictures of class 1 have a bright upper half. */
export function halves(count: number): Dataset {
  const size = { channels: 2, height: 6, width: 10 };
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 2);
  const images = Uint8Array.from({ length: count * 120 }, (_, i) => {
    const isUpper = i % 60 < 30;
    return (isUpper && at(labels, Math.floor(i / 120)) === 1 ? 200 : 50) + ((i * 7) % 23);
  });
  return {
    name: "halves",
    classNames: ["plain", "bright"],
    size,
    mean: [90, 90],
    std: [50, 50],
    images,
    labels,
    count,
  };
}

/** Artifacts of a linear classifier of these pictures. */
export function classifierArtifacts() {
  const training = createBuilder(new Graph("training"));
  const { loss, parameters, specs } = append(training);
  const bindings = returnGradients(training, parameters, appendGradients(training, loss, parameters));
  const evaluation = createBuilder(new Graph("evaluation"));
  evaluation.output(append(evaluation).logits, "logits");
  const rule = { kind: "sgd-nesterov", momentum: 0.9, weightDecay: 0 } as const;
  return {
    checkpoint: encodeCheckpoint(initialCheckpoint(specs, { seed: 1, moments: 1, fused: false })),
    trainingModel: encodeModel(bindModel({ graph: training.graph, bindings })),
    evalModel: encodeModel(createModel(evaluation.graph)),
    optimizerModel: encodeModel(bindModel(optimizerGraph(specs, rule))),
  };
}

function append(g: Builder) {
  const images = g.input("images", "uint8", ["batch", 2, 6, 10]);
  const labels = g.input("labels", "int64", ["batch"]);
  const specs: readonly ParameterSpec[] = [
    { name: "fc.weight", shape: [2, 120], initialization: "uniform-fan-in", kind: "parameter" },
    { name: "fc.bias", shape: [2], initialization: "zeros", kind: "parameter" },
  ];
  const parameters = specs.map(({ name, shape }) => g.input(name, "float", shape));
  const scaled = g.Div(g.Cast(images, { to: dataTypeNumbers.float }), g.float(255));
  const [weight, bias] = [at(parameters, 0), at(parameters, 1)];
  const logits = g.Gemm(g.Flatten(scaled), weight, bias, { transB: 1 });
  const loss = g.output(g.SoftmaxCrossEntropyLoss(logits, labels)[0], "loss");
  const hits = g.Equal(g.ArgMax(logits, { axis: 1, keepdims: 0 }), labels);
  const count = g.ReduceSum(g.Cast(hits, { to: dataTypeNumbers.float }), null, { keepdims: 0 });
  g.output(g.Cast(count, { to: dataTypeNumbers.int64 }), "correct");
  return { logits, loss, parameters, specs };
}
