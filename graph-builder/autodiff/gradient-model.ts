import { at } from "../at.ts";
import { didYouMean, UserError } from "../errors.ts";
import { createModel, type Graph, hasGraph, type Model, newestRunOpset, Value } from "../ir.ts";
import type { Lowering } from "../lowerings/lower.ts";
import { portable } from "../lowerings/portable.ts";
import { freeName, givenNames, nameValues } from "../names.ts";
import { freezeInputs } from "../passes/freeze-inputs.ts";
import { runPasses } from "../passes/pass.ts";
import { copyPart } from "../passes/rewrite.ts";
import { trainingPasses } from "../pipelines.ts";
import { formatType } from "../types.ts";
import { shown } from "../visible.ts";
import { isFloating, ones, propagateGradients } from "./autodiff.ts";

/**
 * A value of a graph: an input, an initializer, or what a node makes. A name is the one in the graph's file;
 * `nameValues` tells the names of values that were given none.
 */
export type ValueReference = string | Value;

/** The settings of `gradients`. */
export interface GradientsOptions {
  /**
   * Makes the gradients of `outputs` inputs `<output>_grad` of the returned model, each with the type and
   * shape of its output: a one-hot row chooses a class, or a component. Without it they are all 1, so the
   * returned gradients are those of the sum of all outputs.
   */
  readonly gradOutputs?: boolean | undefined;
  /** Values that the returned model returns too, after the gradients. */
  readonly additionalOutputs?: readonly ValueReference[] | undefined;
  /** The operators of the returned model: by default `portable`, which every device of ONNX Runtime runs. */
  readonly lowering?: Lowering | undefined;
}

/**
 * Returns a model that computes the gradients of some values of a model with respect to others: inputs (for
 * saliency or adversarial examples), parameters, or any inner value (a latent). Its outputs are
 * `<value>_grad` for every value of `withRespectTo`, in that order, each with the type and shape of its
 * value; its inputs are those inputs of the model that they need. A name that is taken gets a number
 * appended. A value on which no output depends has the gradient 0. Any ONNX Runtime runs the model.
 *
 * Throws UserError for what is no model, such as the bytes of a file, for a value that the model does not
 * have, and for one that is no tensor of floats; Error, naming the node, where an operator on the way has no
 * gradient.
 */
export function gradients(
  model: Model | Graph,
  outputs: readonly ValueReference[],
  withRespectTo: readonly ValueReference[],
  { gradOutputs = false, additionalOutputs = [], lowering = portable }: GradientsOptions = {},
): Model {
  expectModel(model);
  expectReferences({ outputs, withRespectTo, additionalOutputs });
  const source = "graph" in model ? model.graph : model;
  const names = nameValues(source);
  const find = (references: readonly ValueReference[]) =>
    references.map((reference) => findValue(source, names, reference));
  const [sources, targets, further] = [find(outputs), find(withRespectTo), find(additionalOutputs)];
  for (const value of [...sources, ...targets]) expectFloats(names, value);

  const { g, copyOf } = copyPart(source, [...sources, ...targets, ...further]);
  const taken = givenNames(g.graph);
  const given = sources.map((value): [Value, Value] => {
    const y = copyOf(value);
    if (!gradOutputs) return [y, g.during("backward", () => ones(g, y))];
    return [y, g.inputOf(freeName(`${names.get(value)}_grad`, taken), y.type)];
  });
  const results = propagateGradients(g, new Map(given), targets.map(copyOf));
  const free = (stem: string) => freeName(stem, givenNames(g.graph));
  for (const [i, value] of targets.entries()) {
    const gradient = at(results, i);
    // autodiff may have named it after another value of the same gradient
    if (gradient.producer && !g.graph.outputs.includes(gradient)) gradient.name = undefined;
    g.during("backward", () => g.output(gradient, free(`${names.get(value)}_grad`)));
  }
  for (const value of further) {
    const copy = copyOf(value);
    g.output(copy, copy.name ?? free(names.get(value) ?? ""));
  }
  return modelOf(model, g.graph, lowering);
}

/** A graph as a model for a lowering, with the inputs that it needs, and with what a source model says. */
function modelOf(source: Model | Graph, graph: Graph, lowering: Lowering): Model {
  const wanted = graph.outputs.map(({ name = "" }) => name);
  const needed = runPasses(graph, [...trainingPasses(lowering), freezeInputs(new Map(), wanted)]);
  if (!("graph" in source)) return createModel(needed);
  const { docString, opset } = source;
  const own = Math.min(opset, newestRunOpset);
  return createModel(needed, { docString, opset: Math.max(own, createModel(needed).opset) });
}

function expectModel(given: unknown): void {
  if (hasGraph(given)) return;
  const what = given instanceof Uint8Array ? "the bytes of a file: decodeModel reads them" : shown(given);
  throw new UserError(`gradients takes a Model or a Graph, not ${what}.`, {
    code: "setting-invalid",
    details: { setting: "model" },
  });
}

function expectReferences(lists: Readonly<Record<string, unknown>>): void {
  for (const [name, list] of Object.entries(lists)) {
    const isList =
      Array.isArray(list) && list.every((each) => typeof each === "string" || each instanceof Value);
    if (isList && (list.length > 0 || name === "additionalOutputs")) continue;
    throw new UserError(`${name} must be a list of names or values, not ${shown(list)}.`, {
      code: "setting-invalid",
      details: { setting: name },
    });
  }
}

function findValue(graph: Graph, names: ReadonlyMap<Value, string>, reference: ValueReference): Value {
  if (reference instanceof Value) {
    if (names.has(reference)) return reference;
    throw new TypeError(`the graph ${graph.name} has no such value ${reference.name ?? ""}`);
  }
  for (const [value, name] of names) if (name === reference) return value;
  const inputs = graph.inputs.map(({ name }) => name);
  const hint = didYouMean(reference, names.values()) || ` Its inputs are ${inputs.join(", ")}.`;
  throw new UserError(`The model has no value ${reference}.${hint}`, {
    code: "value-unknown",
    details: { value: reference },
  });
}

/** Throws UserError for a value that has no gradient; it names the floats that a Cast makes of the value. */
function expectFloats(names: ReadonlyMap<Value, string>, value: Value): void {
  if (isFloating(value)) return;
  const name = names.get(value) ?? "";
  const cast = value.uses.find(({ node }) => node.opType === "Cast")?.node.outputs[0];
  const hint = cast && isFloating(cast) ? `, but ${names.get(cast)}, which a Cast makes of it, has one` : "";
  throw new UserError(`${name} is ${formatType(value.type)} and has no gradient${hint}.`, {
    code: "value-type",
    details: { value: name, type: value.elemType },
  });
}
