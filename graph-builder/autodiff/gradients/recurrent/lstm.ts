import { at } from "../../../at.ts";
import type { Builder } from "../../../builder.ts";
import { filled, floatLike } from "../../../composites.ts";
import type { Value } from "../../../ir.ts";
import { appendScan } from "../../../scan.ts";
import {
  activated,
  backInTime,
  type Cell,
  type Direction,
  masked,
  parts,
  previousStates,
  product,
  slope,
  sumOfProducts,
  toRows,
  toSequence,
} from "./direction.ts";

/** The four gates, in ONNX's order: input, output, forget, cell. */
interface Gates {
  readonly i: Value;
  readonly o: Value;
  readonly f: Value;
  readonly c: Value;
}

/** The gates i, f and c, and what their activations read. */
interface MemoryGates {
  readonly read: Omit<Gates, "o">;
  readonly gates: Omit<Gates, "o">;
}

/**
 * i = f(a_i), o = f(a_o), f = f(a_f) or 1 - i, c = g(a_c), C = f C_prev + i c, H = o h(C), and with peepholes
 * C_prev in a_i and a_f, and C in a_o. A loop computes C of all steps; each gate then has a derivative K, so
 * that da_i = dC K_i, da_f = dC K_f, da_c = dC K_c and da_o = dH K_o.
 */
export function lstm(isCoupled: boolean): Cell {
  return (g, direction, propagate) => {
    const H = previousStates(g, direction);
    const A = sumOfProducts(g, direction, H);
    const a = gatesIn(g, direction, A);
    const [Pi, Po, Pf] = direction.P ? parts(g, direction.P, direction.hidden, 0) : [];
    const previous = previousMemories(g, direction, A, isCoupled);
    const { read, gates } = memoryGates(g, direction, a, previous, isCoupled);
    const C = g.Add(g.Mul(gates.f, previous), g.Mul(gates.i, gates.c));
    const ao = Po ? g.Add(a.o, g.Mul(C, Po)) : a.o;
    const o = activated(g, direction, 0, ao);
    const squashed = at(direction.activations, 2)(g, C);
    const K = (gate: Value, by: Value, factor: Value) => slope(g, propagate, gate, by, factor);
    const Ki = K(gates.i, read.i, isCoupled ? g.Sub(gates.c, previous) : gates.c);
    const Ko = K(o, ao, squashed);
    const Kf = isCoupled ? filled(g, Ki, 0) : K(gates.f, read.f, previous);
    const Kc = K(gates.c, read.c, gates.i);
    const plus = (base: Value, P: Value | undefined, slopeOfGate: Value) =>
      P ? g.Add(base, g.Mul(P, slopeOfGate)) : base;
    const { dInitial, made } = backInTime(g, direction, {
      rows: [
        masked(g, direction, g.Concat(Ki, Ko, Kf, Kc, { axis: 1 })),
        masked(g, direction, plus(K(squashed, C, o), Po, Ko)),
        masked(g, direction, plus(plus(gates.f, Pi, Ki), Pf, Kf), 1),
      ],
      captured: [direction.R],
      step: (b, { dH, dC: later, elements: [slopes, dHdC, dCdPrevious], captured: [R] }) => {
        const dC = b.Add(later, b.Mul(dH, dHdC));
        const da = b.Mul(b.Concat(dC, dH, dC, dC, { axis: 1 }), slopes);
        return { states: [b.MatMul(da, R), b.Mul(dC, dCdPrevious)], made: [da] };
      },
    });
    const [da] = made;
    const dPeepholes = () => peepholeGradients(g, direction, da, { previous, C });
    return { dP: da, dQ: da, dR: () => product(g, da, H), dInitial, dPeepholes };
  };
}

/** The gradients of the peepholes [3 hidden]: of i and f by C before each step, of o by C of the step. */
function peepholeGradients(
  g: Builder,
  direction: Direction,
  da: Value,
  { previous, C }: { readonly previous: Value; readonly C: Value },
): Value {
  const { i, o, f } = gatesIn(g, direction, da);
  const pairs = [[i, previous] as const, [o, C] as const, [f, previous] as const];
  const sums = pairs.map(([d, memory]) => g.ReduceSum(g.Mul(d, memory), g.int64([0]), { keepdims: 0 }));
  return g.Concat(...sums, { axis: 0 });
}

function gatesIn(g: Builder, { hidden }: Direction, rows: Value): Gates {
  const gates = parts(g, rows, hidden, 1);
  return { i: at(gates, 0), o: at(gates, 1), f: at(gates, 2), c: at(gates, 3) };
}

/** The gates that make C of a step, or of all steps at once. */
function memoryGates(
  g: Builder,
  direction: Direction,
  { i: ai, f: af, c: ac }: Gates,
  previous: Value,
  isCoupled: boolean,
  P = direction.P,
): MemoryGates {
  const peepholes = P ? parts(g, P, direction.hidden, 0) : [];
  const peep = (a: Value, place: number) => (P ? g.Add(a, g.Mul(previous, at(peepholes, place))) : a);
  const read = { i: peep(ai, 0), f: peep(af, 2), c: ac };
  const i = activated(g, direction, 0, read.i);
  const f = isCoupled ? g.Sub(floatLike(g, i, 1), i) : activated(g, direction, 0, read.f);
  return { read, gates: { i, f, c: activated(g, direction, 1, ac) } };
}

/** C before every step, as rows: the one part of the forward pass that has to run step by step. */
function previousMemories(g: Builder, direction: Direction, A: Value, isCoupled: boolean): Value {
  const { X, P, mask, isReverse } = direction;
  const directions = isReverse ? 1 : 0;
  const states = [at(direction.initial, 1)] as const;
  if (!P) {
    const { gates } = memoryGates(g, direction, gatesIn(g, direction, A), A, isCoupled);
    const rows = [masked(g, direction, gates.f, 1), masked(g, direction, g.Mul(gates.i, gates.c))] as const;
    const [kept, added] = rows;
    const { made } = appendScan(g, {
      states,
      sequences: [toSequence(g, X, kept), toSequence(g, X, added)],
      captured: [],
      inputDirections: directions,
      outputDirections: directions,
      step: (b, { states: [C], elements: [f, next] }) => ({
        states: [b.Add(b.Mul(f, C), next)],
        made: [C],
      }),
    });
    return toRows(g, made[0]);
  }
  const { made } = appendScan(g, {
    states,
    sequences: [toSequence(g, X, A), ...(mask ? [mask] : [])],
    captured: [P],
    inputDirections: directions,
    outputDirections: directions,
    step: (b, { states: [C], elements: [a, isWithin], captured: [peepholes] }) => {
      if (!a) throw new TypeError("a step reads the gates");
      const { gates } = memoryGates(b, direction, gatesIn(b, direction, a), C, isCoupled, peepholes);
      const next = b.Add(b.Mul(gates.f, C), b.Mul(gates.i, gates.c));
      return { states: [isWithin ? b.Where(isWithin, next, C) : next], made: [C] };
    },
  });
  return toRows(g, made[0]);
}
