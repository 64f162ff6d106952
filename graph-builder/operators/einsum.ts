import { at } from "../at.ts";
import { type Dim, sameDim } from "../dims.ts";
import type { Shape } from "../types.ts";
import { mayEqual, refuse } from "./inference.ts";

/** An equation of Einsum with a label for every axis. */
export interface Equation {
  readonly terms: readonly (readonly string[])[];
  readonly output: readonly string[];
}

/**
 * Reads an equation such as `bij,bjk->bik`. The axes of an ellipsis get the labels `.0`, `.1`, ..., counted
 * from its last axis. Without an output, that is the ellipsis and the labels that occur once, in alphabetic
 * order. Throws ShapeError where the equation does not fit the ranks.
 */
export function parseEquation(equation: string, ranks: readonly number[]): Equation {
  const [left = "", right, ...rest] = equation.replaceAll(" ", "").split("->");
  const parts = left.split(",");
  if (rest.length > 0 || parts.length !== ranks.length) {
    refuse(`equation ${equation} does not fit ${ranks.length} inputs`);
  }
  const terms = parts.map((part, i) => labelsOf(part, at(ranks, i), equation));
  const dots = Math.max(0, ...terms.map((term) => term.filter(isDot).length));
  const output =
    right === undefined
      ? [...dotLabels(dots), ...singleLabels(terms)]
      : labelsOf(right, right.replace("...", "").length + (right.includes("...") ? dots : 0), equation);
  const known = new Set(terms.flat());
  if (output.some((label) => !known.has(label)) || new Set(output).size < output.length) {
    refuse(`the output of equation ${equation} must have labels of the inputs, each once`);
  }
  return { terms, output };
}

/** The equation as text, every label a letter. Throws ShapeError where there are not enough letters. */
export function formatEquation({ terms, output }: Equation): string {
  const labels = [...new Set([...terms.flat(), ...output])];
  const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  if (labels.length > letters.length) refuse("an equation has more than 52 labels");
  const text = (term: readonly string[]) => term.map((label) => letters[labels.indexOf(label)]).join("");
  return `${terms.map(text).join(",")}->${text(output)}`;
}

/** The shape that an equation gives. Throws ShapeError where one label has two sizes, neither of them 1. */
export function einsumShape({ terms, output }: Equation, shapes: readonly Shape[]): Dim[] {
  const sizes = new Map<string, Dim>();
  for (const [i, term] of terms.entries()) {
    for (const [axis, label] of term.entries()) {
      const [size, known] = [at(at(shapes, i), axis), sizes.get(label) ?? 1];
      if (known !== 1 && size !== 1 && !mayEqual(size, known)) {
        refuse(`label ${label} of the equation has the sizes ${known} and ${size}`);
      }
      if (known === 1 || (typeof size === "number" && size !== 1 && !sameDim(size, known)))
        sizes.set(label, size);
    }
  }
  return output.map((label) => sizes.get(label) ?? 1);
}

function isDot(label: string): boolean {
  return label.startsWith(".");
}

function dotLabels(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `.${count - 1 - i}`);
}

function labelsOf(part: string, rank: number, equation: string): string[] {
  const [before = "", after, ...more] = part.split("...");
  const letters = before + (after ?? "");
  const dots = rank - letters.length;
  const isFitting = after === undefined ? dots === 0 : dots >= 0;
  if (more.length > 0 || !isFitting || !/^[A-Za-z]*$/.test(letters)) {
    refuse(`term ${part} of equation ${equation} does not fit rank ${rank}`);
  }
  return [...before, ...dotLabels(dots), ...(after ?? "")];
}

function singleLabels(terms: readonly (readonly string[])[]): string[] {
  const all = terms.flat().filter((label) => !isDot(label));
  return all.filter((label) => all.indexOf(label) === all.lastIndexOf(label)).sort();
}
