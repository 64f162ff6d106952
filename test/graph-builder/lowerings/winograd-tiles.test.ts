import { expect, test } from "vitest";
import { RandomStream } from "../../../graph-builder/index.ts";
import {
  inputTransform,
  type Matrix,
  outputTransform,
  tilesAlong,
  transposed,
  weightTransform,
} from "../../../graph-builder/lowerings/winograd-tiles.ts";

function multiply(left: Matrix, right: Matrix): Matrix {
  const columns = transposed(right);
  return left.map((row) =>
    columns.map((column) => row.reduce((sum, value, i) => sum + value * (column[i] ?? 0), 0)),
  );
}

function randomMatrix(rows: number, columns: number, name: string): Matrix {
  const random = new RandomStream(1, name);
  return Array.from({ length: rows }, (_, i) =>
    Array.from({ length: columns }, (_, j) => random.integer(i * columns + j, 19) - 9),
  );
}

/** The 3x3 convolution of X with pads of 1. */
function convolved(X: Matrix, w: Matrix): Matrix {
  const pixel = (i: number, j: number) => X[i]?.[j] ?? 0;
  return X.map((row, i) =>
    row.map((_, j) =>
      w.reduce(
        (sum, taps, a) => sum + taps.reduce((all, tap, b) => all + tap * pixel(i + a - 1, j + b - 1), 0),
        0,
      ),
    ),
  );
}

/** The same by Winograd's algorithm. */
function byTiles(X: Matrix, w: Matrix): Matrix {
  const [rows, columns] = [tilesAlong(X.length), tilesAlong(X[0]?.length ?? 0)];
  const taps = weightTransform(rows, columns).map((line) =>
    line.reduce((sum, value, i) => sum + value * (w.flat()[i] ?? 0), 0),
  );
  const seen = multiply(multiply(inputTransform(rows), X), transposed(inputTransform(columns)));
  const products = seen.map((line, i) =>
    line.map((value, j) => {
      const [row, column] = [Math.floor(i / rows.count), Math.floor(j / columns.count)];
      return value * (taps[row * columns.read + column] ?? Number.NaN);
    }),
  );
  return multiply(multiply(outputTransform(rows), products), transposed(outputTransform(columns)));
}

const sides = [1, 2, 3, 4, 5, 6, 7, 8, 10, 15, 16];

test.each(sides.flatMap((height) => [height, 3, 14].map((width) => [height, width] as const)))(
  "tiles of a map of %i x %i pixels give its convolution",
  (height, width) => {
    const [X, w] = [randomMatrix(height, width, "X"), randomMatrix(3, 3, "w")];
    const [expected, actual] = [convolved(X, w).flat(), byTiles(X, w).flat()];
    expect(actual).toHaveLength(expected.length);
    for (const [i, value] of actual.entries()) expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 9);
  },
);

test.each([
  [2, 2],
  [3, 3],
  [6, 3],
  [7, 4],
  [9, 3],
  [12, 4],
  [15, 4],
  [16, 4],
])("a side of %i pixels is covered by tiles of %i, which read the fewest", (side, tile) => {
  expect(tilesAlong(side).tile).toBe(tile);
});
