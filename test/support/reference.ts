import type { Tensor } from "../../graph-builder/index.ts";

/** An index for every element of a shape, in row-major order. */
export function* indicesOf(dims: readonly number[]): Generator<number[]> {
  const count = dims.reduce((product, dim) => product * dim, 1);
  for (let flat = 0; flat < count; flat++) yield unravel(flat, dims);
}

/** A row-major array read and written by index. */
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

  /** The element at an index; 0 outside. */
  at(...index: readonly number[]): number {
    return this.data[this.#offset(index)] ?? 0;
  }

  add(index: readonly number[], value: number): void {
    const offset = this.#offset(index);
    if (offset >= 0) this.data[offset] = (this.data[offset] ?? 0) + value;
  }

  #offset(index: readonly number[]): number {
    let offset = 0;
    for (const [axis, dim] of this.dims.entries()) {
      const position = index[axis] ?? 0;
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

/** The gradients of Y[n,m,p,q] = B[m] + sum W[m,c,i,j] X[n, c of m's group, s p + d i - pad, s q + d j - pad], term by term. */
export function convGradient(dY: Grid, X: Grid, W: Grid, window: Window2d): [dX: Grid, dW: Grid, dB: Grid] {
  const [dX, dW, dB] = [new Grid(X.dims), new Grid(W.dims), new Grid([W.dims[0] ?? 0])];
  const { strides, dilations, pads, group } = window;
  const [perGroup, filters] = [W.dims[1] ?? 0, (W.dims[0] ?? 0) / group];
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
  const channels = X.dims[1] ?? 0;
  const values: number[][] = Array.from({ length: channels }, () => []);
  for (const index of indicesOf(X.dims)) values[index[1] ?? 0]?.push(X.at(...index));
  const mean = values.map((list) => list.reduce((sum, x) => sum + x, 0) / list.length);
  const variance = values.map(
    (list, c) => list.reduce((sum, x) => sum + (x - (mean[c] ?? 0)) ** 2, 0) / list.length,
  );
  return { mean, variance };
}

/**
 * The gradients of batch normalisation from its parts: Y = scale x + B, x = (X - mean) r, r = 1 / std, where every X moves
 * mean and r: dX_k = sum_i scale dY_i (dx_i/dX_k) with dx_i/dX_k = r (1[i = k] - 1/M - x_i x_k / M).
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
    const c = index[1] ?? 0;
    return (X.at(...index) - (mean[c] ?? 0)) * (invStd[c] ?? 0);
  };
  for (const i of places) {
    const c = i[1] ?? 0;
    dScale[c] += dY.at(...i) * normal(i);
    dB[c] += dY.at(...i);
    for (const k of places) {
      if (k[1] !== c) continue;
      const same = i.join() === k.join() ? 1 : 0;
      const slope = (invStd[c] ?? 0) * (same - 1 / M - (normal(i) * normal(k)) / M);
      dX.add(k, (scale[c] ?? 0) * dY.at(...i) * slope);
    }
  }
  return [dX, dScale, dB];
}

/** dX_k = sum_i dY_i (dY_i/dX_k) along an axis, for softmax (dY_i/dX_k = Y_i (1[i=k] - Y_k)) or its logarithm (1[i=k] - exp Y_k). */
export function softmaxGradient(dY: Grid, Y: Grid, axis: number, isLog: boolean): Grid {
  const dX = new Grid(Y.dims);
  for (const i of indicesOf(Y.dims)) {
    for (let position = 0; position < (Y.dims[axis] ?? 0); position++) {
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

/** Cross entropy of log probabilities [N, C, ...]: the losses reduced, and the gradient of the scores for a given dY. */
export function crossEntropy(
  logProb: Grid,
  labels: Grid,
  { reduction, weights, ignoreIndex }: LossSettings,
  dY: readonly number[] = [],
): { loss: number[]; dScores: Grid } {
  const places = [...indicesOf(labels.dims)];
  const weightOf = (label: number) => (label === ignoreIndex ? 0 : (weights?.[label] ?? 1));
  const total = places.reduce((sum, at) => sum + weightOf(labels.at(...at)), 0);
  const losses = places.map((at) => {
    const label = labels.at(...at);
    return label === ignoreIndex ? 0 : -weightOf(label) * logProb.at(...at.toSpliced(1, 0, label));
  });
  const dScores = new Grid(logProb.dims);
  for (const [i, at] of places.entries()) {
    const label = labels.at(...at);
    const outer = (dY[reduction === "none" ? i : 0] ?? 0) / (reduction === "mean" ? total : 1);
    for (let c = 0; c < (logProb.dims[1] ?? 0); c++) {
      const place = at.toSpliced(1, 0, c);
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
