import { at } from "../../../at.ts";
import type { Builder } from "../../../builder.ts";
import { castLike, floatLike } from "../../../composites.ts";
import type { Value } from "../../../ir.ts";
import { staticDim } from "../../../operators/inference.ts";
import { directionsOf, type recurrent as operators } from "../../../operators/recurrent.ts";
import type { Backward, Gradients } from "../rule.ts";
import { activationsOf, type RecurrentOpType } from "./activations.ts";
import { type Cell, type CellGradients, type Direction, product, toRows, toSequence } from "./direction.ts";
import { gru } from "./gru.ts";
import { lstm } from "./lstm.ts";
import { rnn } from "./rnn.ts";
import { scanGradient } from "./scan.ts";

/**
 * The gradients of recurrent layers. The forward node stays one node. The backward pass computes the gates of
 * all steps anew from Y, with one product for X and one for the states of all steps; a Scan carries the
 * gradients of the states back in time; and the gradient of each weight is one product over all steps.
 */
export const recurrent: Gradients<typeof operators> = {
  LSTM: (g, back) => {
    const { attributes, optional } = back;
    const cell = lstm(attributes.input_forget === 1);
    const { dX, dW, dR, dB, dInitial, dP } = layerGradient(g, back, cell);
    return [
      dX,
      dW,
      dR,
      dB,
      null,
      optional(5) ? () => dInitial(0) : null,
      optional(6) ? () => dInitial(1) : null,
      dP,
    ];
  },
  GRU: (g, back) => {
    const cell = gru(back.attributes.linear_before_reset === 1);
    const { dX, dW, dR, dB, dInitial } = layerGradient(g, back, cell);
    return [dX, dW, dR, dB, null, back.optional(5) ? () => dInitial(0) : null];
  },
  RNN: (g, back) => {
    const { dX, dW, dR, dB, dInitial } = layerGradient(g, back, rnn);
    return [dX, dW, dR, dB, null, back.optional(5) ? () => dInitial(0) : null];
  },
  Scan: scanGradient,
};

/** The gradients of a layer's inputs; null for an input that it does not have. */
interface LayerGradients {
  readonly dX: () => Value;
  readonly dW: () => Value;
  readonly dR: () => Value;
  readonly dB: (() => Value) | null;
  readonly dP: (() => Value) | null;
  /** The gradient of an initial state. */
  readonly dInitial: (index: number) => Value;
}

function layerGradient<K extends RecurrentOpType>(g: Builder, back: Backward<K>, cell: Cell): LayerGradients {
  const directions = directionsIn(g, back);
  const results = directions.map((direction) => cell(g, direction, back.propagate));
  const joined = (part: (result: CellGradients, direction: Direction) => Value): Value => {
    const parts = directions.map((direction, d) =>
      g.Unsqueeze(part(at(results, d), direction), g.int64([0])),
    );
    return parts.length === 1 ? at(parts, 0) : g.Concat(...parts, { axis: 0 });
  };
  const { layout } = back.attributes;
  return {
    dX: () => {
      const [first, ...others] = directions.map(({ W }, d) =>
        g.MatMul(toSequence(g, at(directions, d).X, at(results, d).dP), W),
      );
      return batchOnly(
        g,
        others.reduce((sum, each) => g.Add(sum, each), first ?? back.dY),
        layout,
      );
    },
    dW: () => joined(({ dP }, { X }) => product(g, dP, toRows(g, X))),
    dR: () => joined(({ dR }) => dR()),
    dB: back.optional(3)
      ? () =>
          joined(({ dP, dQ }) =>
            g.Concat(...[dP, dQ].map((each) => g.ReduceSum(each, g.int64([0]), { keepdims: 0 })), {
              axis: 0,
            }),
          )
      : null,
    dP: back.node.inputs[7] ? () => joined(({ dPeepholes, dP }) => dPeepholes?.() ?? dP) : null,
    dInitial: (index) =>
      batchOnly(
        g,
        joined(({ dInitial }) => at(dInitial, index)),
        layout,
      ),
  };
}

/** The directions of a layer, with the axis of directions removed and the steps first. */
function directionsIn<K extends RecurrentOpType>(g: Builder, back: Backward<K>): Direction[] {
  const { node, attributes, I, O, optional, dO } = back;
  const { direction, layout, clip } = attributes;
  const X = batchOnly(g, I(0), layout);
  const hidden = staticDim(I(2).shape, 2);
  const count = directionsOf(direction);
  const lengths = optional(4);
  const mask = lengths ? stepsWithin(g, X, lengths) : undefined;
  const { slice, state, sequence } = directionSlices(g, layout, count);
  const batch = g.Shape(X, { start: 1, end: 2 });
  const zeros = () => g.Expand(floatLike(g, X, 0), g.Concat(batch, g.int64([hidden]), { axis: 0 }));
  const isLstm = node.opType === "LSTM";
  const dLast = [1, ...(isLstm ? [2] : [])].map(dO);
  const [Y, dY] = [O(0), dO(0)];
  return Array.from({ length: count }, (_, d) => {
    const part = (index: number) => {
      const value = optional(index);
      return value && slice(value, 0, d);
    };
    const initial = [5, ...(isLstm ? [6] : [])].map((index) => {
      const value = optional(index);
      return value ? state(value, d) : zeros();
    });
    const [W, R] = [slice(I(1), 0, d), slice(I(2), 0, d)];
    const [B, P] = [part(3), isLstm ? part(7) : null];
    const outputs = { Y: sequence(Y, d), dY: sequence(dY, d), dLast: dLast.map((each) => state(each, d)) };
    const isReverse = direction === "reverse" || d === 1;
    const activations = at(activationsOf(node.opType, attributes, count), d);
    return { X, W, R, B, P, ...outputs, initial, mask, hidden, clip, isReverse, activations };
  });
}

/** Functions that take direction `d` of weights, states and sequences. */
function directionSlices(g: Builder, layout: number, count: number) {
  const slice = (value: Value, axis: number, d: number) =>
    count === 1 ? g.Squeeze(value, g.int64([axis])) : g.Gather(value, g.int64(d), { axis });
  return {
    slice,
    state: (value: Value, d: number) => slice(batchOnly(g, value, layout), 0, d),
    sequence: (value: Value, d: number) =>
      slice(layout ? g.Transpose(value, { perm: [1, 2, 0, 3] }) : value, 1, d),
  };
}

/** [batch, steps or directions, ...] to and from the order of layout 0. */
function batchOnly(g: Builder, value: Value, layout: number): Value {
  return layout ? g.Transpose(value, { perm: [1, 0, 2] }) : value;
}

/** Whether a step lies within its sequence: bool [steps, batch, 1]. */
function stepsWithin(g: Builder, X: Value, lengths: Value): Value {
  const steps = g.Squeeze(g.Shape(X, { end: 1 }), g.int64([0]));
  const numbers = castLike(g, g.Range(g.int64(0), steps, g.int64(1)), lengths);
  return g.Unsqueeze(
    g.Less(g.Unsqueeze(numbers, g.int64([1])), g.Unsqueeze(lengths, g.int64([0]))),
    g.int64([2]),
  );
}
