import type { Binding } from "../bindings.ts";
import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import { freeName, givenNames, nameOf } from "../names.ts";
import { Tensor } from "../tensor.ts";
import { appendControls } from "./controls.ts";
import { applyRule, momentCounts, momentNames, type OptimizerRule } from "./step-graph.ts";

/** Returns gradients as outputs `<parameter>_grad`. The bindings are those of the parameters and gradients. */
export function returnGradients(
  g: Builder,
  parameters: readonly Value[],
  gradients: readonly Value[],
): Binding[] {
  const taken = givenNames(g.graph);
  return pairs(parameters, gradients).flatMap(([parameter, gradient]): Binding[] => {
    const name = nameOf(parameter);
    const wanted = `${name}_grad`;
    // autodiff names most gradients so already
    const isNamed = gradient.name === wanted && gradient.producer !== undefined;
    const output = isNamed ? wanted : freeName(wanted, taken);
    g.during("backward", () => g.output(gradient, output));
    return [
      { role: "parameter", input: name },
      { role: "gradient", parameter: name, output },
    ];
  });
}

/**
 * Adds gradients into buffers by ONNX Runtime's InPlaceAccumulatorV2, or puts them there where the input `lazy_reset_grad` is true; names
 * are those of its training contract: inputs `<parameter>_grad.accumulation.buffer`, outputs `<parameter>_grad.accumulation.out`.
 * The bindings are those of the parameters and gradients, and of `lazy_reset_grad`.
 */
export function accumulateGradients(
  g: Builder,
  parameters: readonly Value[],
  gradients: readonly Value[],
): Binding[] {
  const taken = givenNames(g.graph);
  const buffers = parameters.map(({ name, type }) =>
    g.inputOf(freeName(`${name}_grad.accumulation.buffer`, taken), type),
  );
  const reset = g.input(freeName("lazy_reset_grad", taken), "bool", [1]);
  const bindings = pairs(parameters, gradients).flatMap(([parameter, gradient], i): Binding[] => {
    const [name, buffer] = [nameOf(parameter), buffers[i] ?? gradient];
    const node = g.during("backward", () =>
      g.node("InPlaceAccumulatorV2", [buffer, gradient, reset], {}, `GradientAccumulator${i}`),
    );
    g.output(node.output(0), freeName(`${name}_grad.accumulation.out`, taken));
    return [
      { role: "parameter", input: name },
      { role: "gradient", parameter: name, input: nameOf(buffer) },
    ];
  });
  return [...bindings, { role: "reset-gradients", input: nameOf(reset) }];
}

/**
 * Appends an optimizer's step behind the backward pass: inputs as `appendControls` gives them and the moments, which the step updates in
 * place as it does the parameters. ONNX Runtime's accumulator writes into any input of the graph; PassThrough keeps it from doing so
 * before the last node has read the old parameters. The bindings are those of the parameters and of what the step adds.
 */
export function updateInPlace(
  g: Builder,
  parameters: readonly Value[],
  gradients: readonly Value[],
  rule: OptimizerRule,
): Binding[] {
  return g.during("update", () => appendUpdates(g, parameters, gradients, rule));
}

function appendUpdates(
  g: Builder,
  parameters: readonly Value[],
  gradients: readonly Value[],
  rule: OptimizerRule,
): Binding[] {
  const taken = givenNames(g.graph);
  const { controls, bindings } = appendControls(g, rule, taken);
  // the training contract wants this input of every training model
  const reset = g.input(freeName("lazy_reset_grad", taken), "bool", [1]);
  bindings.push({ role: "reset-gradients", input: nameOf(reset) });
  const arrived = g.PassThrough(...gradients);
  const overwrite = g.constant(new Tensor("bool", [1], Uint8Array.of(1)));
  const flags = pairs(parameters, arrived).flatMap(([weight, gradient]) => {
    const parameter = nameOf(weight);
    bindings.push({ role: "parameter", input: parameter });
    const moments = momentNames(parameter, momentCounts[rule.kind]).map((moment, index) => {
      const input = freeName(moment, taken);
      bindings.push({ role: "moment", parameter, index, input });
      return g.inputOf(input, weight.type);
    });
    const next = g.scope(`update/${parameter.replaceAll(".", "/")}`, () =>
      applyRule(g, rule, { weight, gradient, moments, ...controls }),
    );
    const values = [next.weight, ...next.moments];
    return pairs([weight, ...moments], values).map(
      ([state, value]) => g.InPlaceAccumulatorV2(state, value, overwrite)[0],
    );
  });
  g.output(g.Concat(...flags, { axis: 0 }), freeName("updated", taken));
  return bindings;
}

/** Throws RangeError where the lists are not of one length. */
function pairs(a: readonly Value[], b: readonly Value[]): [Value, Value][] {
  return a.map((value, i) => {
    const other = b[i];
    if (!other || a.length !== b.length)
      throw new RangeError(`${a.length} values and ${b.length} are no pairs`);
    return [value, other];
  });
}
