import { at } from "../../graph-builder/index.ts";
import type { Definition } from "./definitions.ts";
import { normal } from "./random-tensor.ts";
import type { Grid } from "./reference.ts";

const [STEPS, INPUT, HIDDEN] = [4, 2, 3];

type RecurrentOpType = "LSTM" | "GRU" | "RNN";
/** H and C of one sequence after a step, from the gates' rows of W x and R H. */
type Cell = (given: number[], fromState: number[], H: number[], C: number[]) => [H: number[], C: number[]];

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const unit = (rows: readonly number[], gate: number, j: number) => at(rows, gate * HIDDEN + j);

const cells: Readonly<Record<RecurrentOpType, Cell>> = {
  RNN: (given, fromState, H, C) => [H.map((_, j) => Math.tanh(unit(given, 0, j) + unit(fromState, 0, j))), C],
  GRU: (given, fromState, H, C) => {
    const gate = (k: number, j: number) => sigmoid(unit(given, k, j) + unit(fromState, k, j));
    const candidate = (j: number) => Math.tanh(unit(given, 2, j) + gate(1, j) * unit(fromState, 2, j));
    return [H.map((h, j) => (1 - gate(0, j)) * candidate(j) + gate(0, j) * h), C];
  },
  LSTM: (given, fromState, _, C) => {
    const sum = (k: number, j: number) => unit(given, k, j) + unit(fromState, k, j);
    const next = C.map((c, j) => sigmoid(sum(2, j)) * c + sigmoid(sum(0, j)) * Math.tanh(sum(3, j)));
    return [next.map((c, j) => sigmoid(sum(1, j)) * Math.tanh(c)), next];
  },
};

/** The product of a weight [1, rows, columns] with a vector. */
function product({ data, dims }: Grid, x: readonly number[]): number[] {
  return Array.from({ length: at(dims, 1) }, (_, row) =>
    x.reduce((sum, each, column) => sum + at(data, row * x.length + column) * each, 0),
  );
}

/** A forward layer of layout 1, without biases, and GRU with linear_before_reset. */
function batchFirst(opType: RecurrentOpType, gates: number): Definition {
  return {
    opType,
    title: "the batch first",
    inputs: {
      X: normal(["batch", STEPS, INPUT]),
      W: normal([1, gates * HIDDEN, INPUT]),
      R: normal([1, gates * HIDDEN, HIDDEN]),
      H: normal(["batch", 1, HIDDEN]),
    },
    build: (g, I) => {
      const attributes = { hidden_size: HIDDEN, layout: 1 };
      const inputs = [I("X"), I("W"), I("R"), null, null, I("H")];
      const linear = opType === "GRU" ? { linear_before_reset: 1 } : {};
      return g.nodeFrom(opType, inputs, { ...attributes, ...linear }).outputs;
    },
    expected: (grid) => {
      const [X, W, R, first] = [grid("X"), grid("W"), grid("R"), grid("H")];
      const [Y, lastH, lastC]: [number[], number[], number[]] = [[], [], []];
      for (let row = 0; row < at(X.dims, 0); row++) {
        let H = [...first.data.slice(row * HIDDEN, (row + 1) * HIDDEN)];
        let C = H.map(() => 0);
        for (let step = 0; step < STEPS; step++) {
          const place = (row * STEPS + step) * INPUT;
          [H, C] = cells[opType](product(W, X.data.slice(place, place + INPUT)), product(R, H), H, C);
          Y.push(...H);
        }
        lastH.push(...H);
        lastC.push(...C);
      }
      return opType === "LSTM" ? [Y, lastH, lastC] : [Y, lastH];
    },
  };
}

/** Recurrent layers that take the batch first. */
export const recurrentDefinitions: readonly Definition[] = [
  batchFirst("LSTM", 4),
  batchFirst("GRU", 3),
  batchFirst("RNN", 1),
];
