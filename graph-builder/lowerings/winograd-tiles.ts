/**
 * The matrices of Winograd's algorithm F(m x m, 3x3): Y = A^T [(G w G^T) * (B^T x B)] A, where a tile writes
 * m x m pixels and reads (m + 2) x (m + 2) (Lavin and Gray, arXiv 1509.09308, section 4).
 */

/** A matrix by its rows. */
export type Matrix = readonly (readonly number[])[];

/** How a side of a map is divided: `count` tiles that write `tile` pixels each, and read `read`. */
export interface Tiles {
  readonly side: number;
  readonly tile: number;
  readonly read: number;
  readonly count: number;
}

const KERNEL = 3;
/** The pixels of a tile along a side. Larger ones round too much in float. */
const TILE_SIDES = [2, 3, 4];
/** Where the polynomials of Cook and Toom are taken, besides infinity: m + 1 of them for a tile of m. */
const POINTS = [0, 1, -1, 2, -2];

/** The tiles that cover a side with the fewest pixels read; the last one may hang over its end. */
export function tilesAlong(side: number): Tiles {
  const divisions = TILE_SIDES.map((tile) => {
    const count = Math.ceil(side / tile);
    return { side, tile, read: tile + KERNEL - 1, count };
  });
  return divisions.reduce((best, next) => (next.count * next.read < best.count * best.read ? next : best));
}

/**
 * B^T for all tiles along a side that is padded by 1: a matrix [read * count, side], rows ordered by B^T's
 * row, then tile.
 */
export function inputTransform(tiles: Tiles): Matrix {
  return placed(readMatrix(tiles.tile), tiles, (index, tap) => tiles.tile * index + tap - 1);
}

/** A^T for all tiles along a side: a matrix [side, read * count]. */
export function outputTransform(tiles: Tiles): Matrix {
  return transposed(placed(writeMatrix(tiles.tile), tiles, (index, pixel) => tiles.tile * index + pixel));
}

/** The Kronecker product of both sides' G, [reads, 9]: it maps a flattened w to the flattened G w G^T. */
export function weightTransform(rows: Tiles, columns: Tiles): Matrix {
  const [vertical, horizontal] = [weightMatrix(rows.tile), weightMatrix(columns.tile)];
  return vertical.flatMap((row) => horizontal.map((other) => row.flatMap((a) => other.map((b) => a * b))));
}

/** The matrix with rows and columns exchanged. */
export function transposed(matrix: Matrix): Matrix {
  const [first = []] = matrix;
  return first.map((_, column) => matrix.map((row) => row[column] ?? 0));
}

/** B^T: the coefficients of the product of x - q over all points q but the row's; the last row has all. */
function readMatrix(tile: number): Matrix {
  const points = pointsOf(tile);
  const rows = points.map((point) => [...product(points.filter((other) => other !== point)), 0]);
  return [...rows, product(points)];
}

/** G: the powers of each point, divided by the product of its distances from the others. */
function weightMatrix(tile: number): Matrix {
  const points = pointsOf(tile);
  const rows = points.map((point) => {
    const distances = points.filter((other) => other !== point).map((other) => point - other);
    const divisor = distances.reduce((all, distance) => all * distance, 1);
    return powers(point, KERNEL).map((power) => power / divisor);
  });
  return [...rows, powers(0, KERNEL).reverse()];
}

/** A: the powers of each point, and of infinity. */
function writeMatrix(tile: number): Matrix {
  return [...pointsOf(tile).map((point) => powers(point, tile)), powers(0, tile).reverse()];
}

function pointsOf(tile: number): readonly number[] {
  return POINTS.slice(0, tile + KERNEL - 2);
}

/** The coefficients of the product of x - root, those of low powers first. */
function product(roots: readonly number[]): number[] {
  let all: number[] = [1];
  for (const root of roots) {
    const factor = all;
    all = [...factor, 0].map((coefficient, power) => (factor[power - 1] ?? 0) - root * coefficient);
  }
  return all;
}

function powers(point: number, count: number): number[] {
  return Array.from({ length: count }, (_, power) => point ** power);
}

/**
 * Repeats a tile's matrix [read, n] for every tile along a side, as [read * count, side]; `pixelOf` gives the
 * pixel of a tile, counted from 0, and of a column. Columns outside of the side are dropped.
 */
function placed(matrix: Matrix, tiles: Tiles, pixelOf: (tile: number, column: number) => number): Matrix {
  return matrix.flatMap((row) =>
    Array.from({ length: tiles.count }, (_, tile) => {
      const line: number[] = Array(tiles.side).fill(0);
      for (const [column, value] of row.entries()) {
        const pixel = pixelOf(tile, column);
        if (pixel >= 0 && pixel < tiles.side) line[pixel] = value;
      }
      return line;
    }),
  );
}
