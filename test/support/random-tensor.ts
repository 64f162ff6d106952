import {
  at,
  type Dim,
  elementCount,
  type GivenShape,
  int64s,
  RandomStream,
  shapeOf,
  sizeOf,
  Tensor,
} from "../../graph-builder/index.ts";

/** The sizes of the symbolic dimensions in tests. */
export const symbols: Readonly<Record<string, number>> = { batch: 3, height: 7, width: 6, steps: 4 };

/** An input of a graph: its declared shape, which may have symbols, and its data. */
export interface Input {
  readonly shape: GivenShape;
  readonly tensor: Tensor;
  /** The input with other random numbers, which follow from the name; an input of given data has none. */
  readonly named?: (name: string) => Input;
}

let count = 0;

type ValueAt = (random: RandomStream, index: number, size: number) => number;

function fill(shape: GivenShape, valueAt: ValueAt, name = `tensor ${count++}`): Input {
  const dims = dimsOf(shape);
  const random = new RandomStream(7, name);
  const size = dims.reduce((product, dim) => product * dim, 1);
  const data = Float32Array.from({ length: size }, (_, i) => valueAt(random, i, size));
  return {
    shape,
    tensor: new Tensor("float", dims, data),
    named: (other) => fill(shape, valueAt, other),
  };
}

/** The shape with its symbols replaced. */
export function dimsOf(shape: GivenShape): number[] {
  return shapeOf(shape).map((dim) => elementCount([dim], symbols));
}

/**
 * Whether every symbol of a dimension has a size in tests; that of a size which only a run tells has none.
 */
export function isSized(dim: Dim): boolean {
  let known = true;
  sizeOf(dim, (name) => {
    known &&= Object.hasOwn(symbols, name);
    return symbols[name] ?? 1;
  });
  return known;
}

/** Standard normal numbers. */
export function normal(shape: GivenShape): Input {
  return fill(shape, (random, i) => random.normal(i));
}

/** Uniform numbers of [0.5, 2). */
export function positive(shape: GivenShape): Input {
  return fill(shape, (random, i) => 0.5 + 1.5 * random.uniform(i));
}

/** Uniform numbers of [0, 1). */
export function uniform(shape: GivenShape): Input {
  return fill(shape, (random, i) => random.uniform(i));
}

/** Numbers of both signs with absolute values of at least 0.2. */
export function apart(shape: GivenShape): Input {
  return fill(
    shape,
    (random, i) => (random.uniform(2 * i) < 0.5 ? -1 : 1) * (0.2 + random.uniform(2 * i + 1)),
  );
}

/** Numbers around zero in random order, any two at least 0.1 apart. */
export function distinct(shape: GivenShape): Input {
  let order: Uint32Array | undefined;
  return fill(shape, (random, i, size) => {
    if (i === 0) order = random.permutation(size, 0);
    return (at(order ?? [], i) - size / 2 + 0.25) * 0.1;
  });
}

/** The given int64 numbers. */
export function integers(values: readonly number[], shape: GivenShape = [values.length]): Input {
  return { shape, tensor: int64s(values, dimsOf(shape)) };
}
