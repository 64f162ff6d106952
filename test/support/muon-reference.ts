import { at } from "../../graph-builder/index.ts";

/**
 * The step of torch.optim.Muon with its defaults, on a matrix in double precision: changes the moments, and
 * returns the new values.
 */
export function muonStep(
  values: readonly number[],
  gradient: readonly number[],
  moments: { m: number }[],
  rows: number,
  rate: number,
): number[] {
  const direction = gradient.map((g, i) => {
    const moment = at(moments, i);
    moment.m = 0.95 * moment.m + 0.05 * g;
    return 0.05 * g + 0.95 * moment.m;
  });
  const columns = values.length / rows;
  const matrix = Array.from({ length: rows }, (_, i) => direction.slice(i * columns, (i + 1) * columns));
  const steps = rows > columns ? transposed(iterated(transposed(matrix))) : iterated(matrix);
  const scale = Math.sqrt(Math.max(1, rows / columns));
  return values.map((value, i) => value * (1 - 0.1 * rate) - rate * scale * at(steps.flat(), i));
}

/** Five Newton-Schulz iterations. */
function iterated(matrix: number[][]): number[][] {
  const norm = Math.max(1e-7, Math.hypot(...matrix.flat()));
  let x = matrix.map((row) => row.map((value) => value / norm));
  for (let step = 0; step < 5; step++) {
    const square = product(x, transposed(x));
    const fourth = product(square, square);
    const mixed = square.map((row, i) =>
      row.map((value, j) => -4.775 * value + 2.0315 * at(at(fourth, i), j)),
    );
    const moved = product(mixed, x);
    x = x.map((row, i) => row.map((value, j) => 3.4445 * value + at(at(moved, i), j)));
  }
  return x;
}

function product(a: number[][], b: number[][]): number[][] {
  const columns = transposed(b);
  return a.map((row) =>
    columns.map((column) => row.reduce((sum, value, i) => sum + value * at(column, i), 0)),
  );
}

function transposed(matrix: number[][]): number[][] {
  return at(matrix, 0).map((_, j) => matrix.map((row) => at(row, j)));
}
