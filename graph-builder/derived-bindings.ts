import { type Binding, type GradientBinding, type MomentBinding, readBindings } from "./bindings.ts";
import type { Graph, Model } from "./ir.ts";
import { momentCounts, momentNames } from "./optimizers/step-graph.ts";

/** Which of a training's models a file is. */
export type ModelKind = "training" | "evaluation" | "optimizer";

/** The names of a checkpoint's tensors. */
export interface TensorNames {
  readonly trainable: ReadonlySet<string>;
  readonly frozen: ReadonlySet<string>;
}

/**
 * A file's own bindings, or those that its names tell. Throws UserError, naming `where`, for damaged ones.
 */
export function bindingsOf(model: Model, kind: ModelKind, tensors: TensorNames, where: string): Binding[] {
  return readBindings(model, where) ?? deriveBindings(model.graph, kind, tensors);
}

/**
 * The bindings of a file that says none, as ONNX Runtime's `generate_artifacts` and older versions of this
 * project name things:
 * - gradients are `<parameter>_grad.accumulation.buffer` in a training model that adds them up, the output
 *   `<parameter>_grad` in one that returns them, and the input `<parameter>_grad` of an optimizer model;
 * - moments are `<parameter>.momentum`, or `.momentum_1` and `.momentum_2`;
 * - the next value of an input is the output `<input>_next`, where the file has no operator that changes its
 *   inputs in place;
 * - `learning_rate`, `step` and `lazy_reset_grad` tell a step what to do. A training model takes the first
 *   two where it updates its parameters itself, which are then all frozen in the checkpoint.
 */
export function deriveBindings(graph: Graph, kind: ModelKind, { trainable, frozen }: TensorNames): Binding[] {
  const inputs = graph.inputs.map(({ name = "" }) => name);
  const outputs = new Set(graph.outputs.map(({ name = "" }) => name));
  const isExplicit =
    kind !== "evaluation" && !graph.nodes.some(({ opType }) => opType === "InPlaceAccumulatorV2");
  const updates = kind === "optimizer" || (trainable.size === 0 && inputs.includes("learning_rate"));
  const next = (input: string) =>
    isExplicit && outputs.has(`${input}_next`) ? { output: `${input}_next` } : {};
  const companions = new Map([
    ...gradientInputs(trainable, kind),
    ...(updates ? momentInputs(kind === "training" ? frozen : trainable, new Set(inputs)) : []),
  ]);
  const bindings = inputs.flatMap((input): Binding[] => {
    const companion = companions.get(input);
    if (companion) return [{ ...companion, ...next(input) }];
    if (trainable.has(input)) return [{ role: "parameter", input, ...next(input) }];
    if (frozen.has(input)) return [frozenBinding(input, updates, next(input))];
    return controlBinding(input, kind, updates);
  });
  if (kind !== "training" || !isExplicit) return bindings;
  const returned = [...trainable].filter((name) => outputs.has(`${name}_grad`));
  return [
    ...bindings,
    ...returned.map((parameter): Binding => ({ role: "gradient", parameter, output: `${parameter}_grad` })),
  ];
}

type Companion = readonly [string, GradientBinding | MomentBinding];

/** The inputs that can be gradients, by their names. */
function gradientInputs(parameters: ReadonlySet<string>, kind: ModelKind): Companion[] {
  if (kind === "evaluation") return [];
  const suffix = kind === "optimizer" ? "_grad" : "_grad.accumulation.buffer";
  return [...parameters].map((parameter) => {
    const input = parameter + suffix;
    return [input, { role: "gradient", parameter, input }];
  });
}

/** The inputs that are moments, by their names. */
function momentInputs(parameters: ReadonlySet<string>, inputs: ReadonlySet<string>): Companion[] {
  const counts = Object.values(momentCounts).sort((a, b) => b - a);
  return [...parameters].flatMap((parameter) => {
    const count = counts.find((n) => momentNames(parameter, n).every((name) => inputs.has(name))) ?? 0;
    return momentNames(parameter, count).map(
      (input, index): Companion => [input, { role: "moment", parameter, index, input }],
    );
  });
}

/**
 * A model that updates its parameters itself changes all of its frozen tensors; running statistics are told
 * by their names.
 */
function frozenBinding(input: string, updates: boolean, next: { output?: string }): Binding {
  if (updates && !/running_(mean|var)$/.test(input)) return { role: "parameter", input, ...next };
  return { role: "output" in next ? "statistic" : "constant", input, ...next };
}

function controlBinding(input: string, kind: ModelKind, updates: boolean): Binding[] {
  if (kind === "evaluation") return [];
  if (input === "lazy_reset_grad" && kind === "training") return [{ role: "reset-gradients", input }];
  if (input === "learning_rate" && updates) return [{ role: "learning-rate", input }];
  return input === "step" && updates ? [{ role: "step", input }] : [];
}
