import { at } from "../at.ts";
import type { Binding } from "../bindings.ts";
import type { Builder } from "../builder.ts";
import type { Value } from "../ir.ts";
import { freeName, givenNames, nameOf } from "../names.ts";
import { Tensor } from "../tensor.ts";
import { clipGradients } from "./clipping.ts";
import { appendControls } from "./controls.ts";
import {
  expectOptimizer,
  momentCounts,
  momentNames,
  type OptimizerRule,
  updateParameter,
} from "./step-graph.ts";

/**
 * Adds the gradients as outputs `<parameter>_grad`, with a number appended where that name is taken. Returns
 * the bindings of the parameters and gradients.
 */
export function returnGradients(
  g: Builder,
  parameters: readonly Value[],
  gradients: readonly Value[],
): Binding[] {
  const taken = givenNames(g.graph);
  return pairs(parameters, gradients).flatMap(([parameter, gradient]): Binding[] => {
    const name = nameOf(parameter);
    const wanted = `${name}_grad`;
    // autodiff has given most gradients this name already
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
 * Accumulates gradients in buffers by ONNX Runtime's InPlaceAccumulatorV2; where the input `lazy_reset_grad`
 * is true, the gradients overwrite the buffers. The names are those of ONNX Runtime's training API: inputs
 * `<parameter>_grad.accumulation.buffer` and outputs `<parameter>_grad.accumulation.out`. Returns the
 * bindings of the parameters, the gradients and `lazy_reset_grad`.
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
    const [name, buffer] = [nameOf(parameter), at(buffers, i)];
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
 * Appends an optimizer step behind the backward pass. Its inputs are those of `appendControls` and the
 * moments; it updates the parameters and the moments in place, by InPlaceAccumulatorV2. Every update depends
 * on a PassThrough of all gradients, so that no parameter changes before the backward pass has read it.
 * Returns the bindings of the parameters and of the inputs that the step adds. Throws UserError as
 * `expectOptimizer` does.
 */
export function updateInPlace(
  g: Builder,
  parameters: readonly Value[],
  gradients: readonly Value[],
  rule: OptimizerRule,
): Binding[] {
  expectOptimizer(rule, parameters.map(nameOf));
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
  // ONNX Runtime's training API requires this input in every training model
  const reset = g.input(freeName("lazy_reset_grad", taken), "bool", [1]);
  bindings.push({ role: "reset-gradients", input: nameOf(reset) });
  const passed = g.PassThrough(...gradients);
  const arrived = g.scope("update/clip", () => clipGradients(g, passed, rule));
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
      updateParameter(g, rule, { weight, gradient, moments, ...controls }),
    );
    const values = [next.weight, ...next.moments];
    return pairs([weight, ...moments], values).map(
      ([state, value]) => g.InPlaceAccumulatorV2(state, value, overwrite)[0],
    );
  });
  g.output(g.Concat(...flags, { axis: 0 }), freeName("updated", taken));
  return bindings;
}

/** The pairs of elements with the same index. Throws RangeError where the lists differ in length. */
function pairs(a: readonly Value[], b: readonly Value[]): [Value, Value][] {
  if (a.length !== b.length) throw new RangeError(`${a.length} values do not pair with ${b.length}`);
  return a.map((value, i) => [value, at(b, i)]);
}
