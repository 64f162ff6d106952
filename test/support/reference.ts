import { at, type Tensor } from "../../graph-builder/index.ts";

/** An index for every element of a shape, in row-major order. */
export function* indicesOf(dims: readonly number[]): Generator<number[]> {
  const count = dims.reduce((product, dim) => product * dim, 1);
  for (let flat = 0; flat < count; flat++) yield unravel(flat, dims);
}

/** A row-major array that is read and written by index. */
export class Grid {
  readonly dims: readonly number[];
  readonly data: number[];

  constructor(dims: readonly number[], data?: readonly number[]) {
    this.dims = dims;
    this.data = data ? [...data] : Array(dims.reduce((product, dim) => product * dim, 1)).fill(0);
  }

  static of(tensor: Tensor): Grid {
    return new Grid(tensor.dims, tensor.numbers());
  }

  /** The element at an index. An index outside gives 0, like padding. */
  at(...index: readonly number[]): number {
    const offset = this.#offset(index);
    return offset < 0 ? 0 : at(this.data, offset);
  }

  /** Adds a value to the element at an index. An index outside changes nothing. */
  add(index: readonly number[], value: number): void {
    const offset = this.#offset(index);
    if (offset >= 0) this.data[offset] = at(this.data, offset) + value;
  }

  #offset(index: readonly number[]): number {
    let offset = 0;
    for (const [axis, dim] of this.dims.entries()) {
      const position = at(index, axis);
      if (position < 0 || position >= dim) return -1;
      offset = offset * dim + position;
    }
    return offset;
  }
}

export interface Window2d {
  readonly strides: readonly [number, number];
  readonly dilations: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  readonly group: number;
}

/**
 * The gradients of a convolution, term by term:
 * Y[n,m,p,q] = B[m] + sum over c, i, j of W[m,c,i,j] X[n, c of m's group, s p + d i - pad, s q + d j - pad].
 */
export function convGradient(dY: Grid, X: Grid, W: Grid, window: Window2d): [dX: Grid, dW: Grid, dB: Grid] {
  const [dX, dW, dB] = [new Grid(X.dims), new Grid(W.dims), new Grid([at(W.dims, 0)])];
  const { strides, dilations, pads, group } = window;
  const [perGroup, filters] = [at(W.dims, 1), at(W.dims, 0) / group];
  for (const [n = 0, m = 0, p = 0, q = 0] of indicesOf(dY.dims)) {
    const gradient = dY.at(n, m, p, q);
    dB.add([m], gradient);
    for (const [c = 0, i = 0, j = 0] of indicesOf(W.dims.slice(1))) {
      const channel = Math.floor(m / filters) * perGroup + c;
      const row = strides[0] * p + dilations[0] * i - pads[0];
      const column = strides[1] * q + dilations[1] * j - pads[1];
      dX.add([n, channel, row, column], gradient * W.at(m, c, i, j));
      dW.add([m, c, i, j], gradient * X.at(n, channel, row, column));
    }
  }
  return [dX, dW, dB];
}

/** The mean and biased variance of each channel. */
export function channelStatistics(X: Grid): { mean: number[]; variance: number[] } {
  const channels = at(X.dims, 1);
  const values: number[][] = Array.from({ length: channels }, () => []);
  for (const index of indicesOf(X.dims)) at(values, at(index, 1)).push(X.at(...index));
  const mean = values.map((list) => list.reduce((sum, x) => sum + x, 0) / list.length);
  const variance = values.map(
    (list, c) => list.reduce((sum, x) => sum + (x - at(mean, c)) ** 2, 0) / list.length,
  );
  return { mean, variance };
}

/**
 * The gradients of batch normalisation, Y = scale x + B with x = (X - mean) r and r = 1 / std. The mean and r
 * depend on every X: dX_k = sum_i scale dY_i (dx_i/dX_k) with dx_i/dX_k = r (1[i = k] - 1/M - x_i x_k / M).
 */
export function batchNormGradient(
  dY: Grid,
  X: Grid,
  scale: readonly number[],
  mean: readonly number[],
  invStd: readonly number[],
): [dX: Grid, dScale: number[], dB: number[]] {
  const channels = scale.length;
  const [dX, dScale, dB] = [new Grid(X.dims), Array(channels).fill(0), Array(channels).fill(0)];
  const places = [...indicesOf(X.dims)];
  const M = places.length / channels;
  const normal = (index: readonly number[]) => {
    const c = at(index, 1);
    return (X.at(...index) - at(mean, c)) * at(invStd, c);
  };
  for (const i of places) {
    const c = at(i, 1);
    dScale[c] += dY.at(...i) * normal(i);
    dB[c] += dY.at(...i);
    for (const k of places) {
      if (k[1] !== c) continue;
      const same = i.join() === k.join() ? 1 : 0;
      const slope = at(invStd, c) * (same - 1 / M - (normal(i) * normal(k)) / M);
      dX.add(k, at(scale, c) * dY.at(...i) * slope);
    }
  }
  return [dX, dScale, dB];
}

/**
 * The gradient of softmax or of its logarithm along an axis: dX_k = sum_i dY_i (dY_i/dX_k), where dY_i/dX_k
 * is Y_i (1[i = k] - Y_k) for softmax and 1[i = k] - exp Y_k for the logarithm.
 */
export function softmaxGradient(dY: Grid, Y: Grid, axis: number, isLog: boolean): Grid {
  const dX = new Grid(Y.dims);
  for (const i of indicesOf(Y.dims)) {
    for (let position = 0; position < at(Y.dims, axis); position++) {
      const k = i.with(axis, position);
      const same = i[axis] === position ? 1 : 0;
      const [yi, yk] = [Y.at(...i), Y.at(...k)];
      dX.add(k, dY.at(...i) * (isLog ? same - Math.exp(yk) : yi * (same - yk)));
    }
  }
  return dX;
}

export interface LossSettings {
  readonly reduction: string;
  readonly weights?: readonly number[];
  readonly ignoreIndex?: number;
}

/** The cross entropy of log probabilities [N, C, ...] after the reduction, and the gradient of the scores. */
export function crossEntropy(
  logProb: Grid,
  labels: Grid,
  { reduction, weights, ignoreIndex }: LossSettings,
  dY: readonly number[] = [],
): { loss: number[]; dScores: Grid } {
  const places = [...indicesOf(labels.dims)];
  const weightOf = (label: number) => (label === ignoreIndex ? 0 : weights ? at(weights, label) : 1);
  const total = places.reduce((sum, place) => sum + weightOf(labels.at(...place)), 0);
  const losses = places.map((place) => {
    const label = labels.at(...place);
    return label === ignoreIndex ? 0 : -weightOf(label) * logProb.at(...place.toSpliced(1, 0, label));
  });
  const dScores = new Grid(logProb.dims);
  for (const [i, labelled] of places.entries()) {
    const label = labels.at(...labelled);
    const outer =
      (dY.length === 0 ? 0 : at(dY, reduction === "none" ? i : 0)) / (reduction === "mean" ? total : 1);
    for (let c = 0; c < at(logProb.dims, 1); c++) {
      const place = labelled.toSpliced(1, 0, c);
      const slope = Math.exp(logProb.at(...place)) - (c === label ? 1 : 0);
      dScores.add(place, outer * weightOf(label) * slope);
    }
  }
  const sum = losses.reduce((a, b) => a + b, 0);
  return { loss: reduction === "none" ? losses : [reduction === "mean" ? sum / total : sum], dScores };
}

function unravel(flat: number, dims: readonly number[]): number[] {
  const index: number[] = [];
  let rest = flat;
  for (const dim of [...dims].reverse()) {
    index.unshift(rest % dim);
    rest = Math.floor(rest / dim);
  }
  return index;
}
