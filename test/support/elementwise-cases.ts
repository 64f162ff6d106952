import type { OpType } from "../../graph-builder/index.ts";
import type { Case } from "./check-gradient.ts";
import { apart, distinct, type Input, normal, positive, uniform } from "./random-tensor.ts";

/** A gradient check of one operator. */
export interface OperatorCase {
  readonly opType: OpType;
  readonly title: string;
  readonly test: Case;
}

/**
 * Makes a case. `build` gets the values of the named inputs. Random numbers follow from the operator, the
 * title and the input's name, so that a new case leaves those of the others as they are.
 */
export function of<K extends string>(
  opType: OpType,
  title: string,
  inputs: Readonly<Record<K, Input>>,
  build: Case<K>["build"],
  more: Partial<Omit<Case, "inputs" | "build">> = {},
): OperatorCase {
  const entries = Object.entries<Input>(inputs).map(
    ([name, input]) => [name, input.named?.(`${opType}, ${title}, ${name}`) ?? input] as const,
  );
  const test = { inputs: Object.fromEntries(entries), build: build as Case["build"], ...more };
  return { opType, title, test };
}

/** Cases of elementwise operators, with broadcasting. */
export const elementwiseCases: readonly OperatorCase[] = [
  of("Identity", "", { X: normal([2, 3]) }, (g, { X }) => g.Identity(X)),
  of("Neg", "", { X: normal([2, 3]) }, (g, { X }) => g.Neg(X)),
  of("Abs", "away from zero", { X: apart(["batch", 5]) }, (g, { X }) => g.Abs(X)),
  of("Exp", "", { X: normal([2, 3]) }, (g, { X }) => g.Exp(X)),
  of("Log", "", { X: positive([2, 3]) }, (g, { X }) => g.Log(X)),
  of("Sin", "", { X: normal([2, 3]) }, (g, { X }) => g.Sin(X)),
  of("Cos", "", { X: normal([2, 3]) }, (g, { X }) => g.Cos(X)),
  of("Tan", "", { X: uniform([2, 3]) }, (g, { X }) => g.Tan(X)),
  ...(["Asin", "Acos", "Atanh"] as const).map((opType) =>
    of(opType, "between -0.5 and 0.5", { X: uniform([2, 3]) }, (g, { X }) =>
      g[opType](g.Sub(X, g.float(0.5))),
    ),
  ),
  ...(["Atan", "Sinh", "Cosh", "Asinh"] as const).map((opType) =>
    of(opType, "", { X: normal([2, 3]) }, (g, { X }) => g[opType](X)),
  ),
  of("Acosh", "above 1", { X: positive([2, 3]) }, (g, { X }) => g.Acosh(g.Add(X, g.float(1)))),
  of("Erf", "", { X: normal([2, 3]) }, (g, { X }) => g.Erf(X)),
  of("Sqrt", "", { X: positive([2, 3]) }, (g, { X }) => g.Sqrt(X)),
  of("Reciprocal", "", { X: positive([2, 3]) }, (g, { X }) => g.Reciprocal(X)),
  of("Clip", "both ends", { X: apart([9]) }, (g, { X }) => g.Clip(X, g.float(-0.1), g.float(0.1))),
  of("Clip", "no lower end", { X: apart([9]) }, (g, { X }) => g.Clip(X, null, g.float(0.1))),
  of(
    "Clip",
    "computed ends",
    { X: apart([9]), m: normal([]) },
    (g, { X, m }) =>
      g.Clip(X, g.Sub(g.Mul(m, g.float(0.01)), g.float(0.1)), g.Add(g.Mul(m, m), g.float(0.1))),
    { step: 2 ** -8 },
  ),
  of("Clip", "a lower end above the upper one", { X: apart([9]), m: normal([]) }, (g, { X, m }) =>
    g.Clip(X, g.Add(m, g.float(1)), m),
  ),
  of("Cast", "to double and back", { X: normal([4]) }, (g, { X }) =>
    g.Cast(g.Cast(X, { to: 11 }), { to: 1 }),
  ),
  of("Add", "of one shape", { A: normal([2, 3]), B: normal([2, 3]) }, (g, { A, B }) => g.Add(A, B)),
  of("Add", "broadcast both ways", { A: normal(["batch", 1, 2]), B: normal([4, 1]) }, (g, { A, B }) =>
    g.Add(A, B),
  ),
  of("Add", "a scalar", { A: normal([]), B: normal(["batch", 2]) }, (g, { A, B }) => g.Add(A, B)),
  of("Sub", "broadcast", { A: normal([2]), B: normal(["batch", 2]) }, (g, { A, B }) => g.Sub(A, B)),
  of("Mul", "broadcast", { A: normal(["batch", 2]), B: normal(["batch", 1]) }, (g, { A, B }) => g.Mul(A, B)),
  of("Mul", "by itself", { A: normal([4]) }, (g, { A }) => g.Mul(A, A)),
  of("Div", "broadcast", { A: normal(["batch", 2]), B: positive([2]) }, (g, { A, B }) => g.Div(A, B)),
  of("Pow", "both sides", { X: positive([3, 2]), Y: normal([2]) }, (g, { X, Y }) => g.Pow(X, Y)),
  of("Pow", "a whole exponent of another type", { X: normal([5]) }, (g, { X }) => g.Pow(X, g.int64([3]))),
  of("Pow", "exponents 0 and 1 at 0", { X: normal([3]) }, (g, { X }) =>
    g.Pow(g.Mul(X, g.float([0, 1, 1])), g.float([0, 0, 1])),
  ),
  of(
    "Pow",
    "a computed exponent that is 0, at 0",
    { X: normal([3]), Y: normal([3]) },
    (g, { X, Y }) => g.Pow(g.Abs(g.Mul(X, g.float([0, 1, 1]))), g.Mul(Y, g.float([0, 0, 1]))),
    { targets: ["Y"] },
  ),
  of(
    "Mod",
    "both sides, fmod",
    { A: apart([8]), B: positive([2, 1]) },
    (g, { A, B }) => g.Mod(g.Mul(A, g.float(7)), g.Add(B, g.float(3)), { fmod: 1 }),
    { step: 2 ** -10 },
  ),
  of("Pow", "a square of negatives", { X: normal([5]) }, (g, { X }) => g.Pow(X, g.float(2))),
  of(
    "Sum",
    "three, broadcast",
    { A: normal([2]), B: normal(["batch", 2]), C: normal([]) },
    (g, { A, B, C }) => g.Sum(A, B, C),
  ),
  of(
    "Mean",
    "three, broadcast",
    { A: normal([2]), B: normal(["batch", 2]), C: normal([]) },
    (g, { A, B, C }) => g.Mean(A, B, C),
  ),
  of("Min", "three, broadcast", { A: distinct([9]), B: distinct([2, 1]) }, (g, { A, B }) =>
    g.Min(A, g.Add(B, g.float(0.025)), g.Neg(A)),
  ),
  of("Max", "broadcast", { A: distinct([9]), B: distinct([2, 1]) }, (g, { A, B }) => g.Max(A, B)),
  of("Max", "of equals", { A: normal([5]) }, (g, { A }) => g.Max(A, A, A)),
  of(
    "Where",
    "broadcast",
    { A: normal([3]), B: normal(["batch", 1]), C: apart([1, 3]) },
    (g, { A, B, C }) => g.Where(g.Greater(C, g.float(0)), A, B),
    { targets: ["A", "B"] },
  ),
];
