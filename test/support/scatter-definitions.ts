import { type Builder, dataTypeNumbers, type Value } from "../../graph-builder/index.ts";
import type { Definition } from "./definitions.ts";
import { integers } from "./random-tensor.ts";
import { indicesOf } from "./reference.ts";

/** Whole numbers, which float16 holds exactly. */
const inputs = {
  data: integers([1, -2, 3, 4, 5, -6, 7, 8], [2, 4]),
  indices: integers([3, 0, 3, -1, 2, 2], [2, 3]),
  updates: integers([10, 20, 30, 40, 50, 60], [2, 3]),
};

const half = (g: Builder, value: Value) => g.Cast(value, { to: dataTypeNumbers.float16 });
const single = (g: Builder, value: Value) => g.Cast(value, { to: dataTypeNumbers.float });

/** Sums at places, in float16. */
export const scatterDefinitions: readonly Definition[] = [
  {
    opType: "ScatterElements",
    title: "sums of float16",
    inputs,
    build: (g, I) => [
      single(
        g,
        g.ScatterElements(half(g, I("data")), I("indices"), half(g, I("updates")), {
          axis: 1,
          reduction: "add",
        }),
      ),
    ],
    expected: (grid) => {
      const sum = grid("data");
      for (const [row = 0, column = 0] of indicesOf([2, 3])) {
        const place = grid("indices").at(row, column);
        sum.add([row, place < 0 ? place + 4 : place], grid("updates").at(row, column));
      }
      return [sum.data];
    },
  },
  {
    opType: "ScatterND",
    title: "sums of float16",
    inputs: {
      data: inputs.data,
      rows: integers([1, 0, 1], [3, 1]),
      updates: integers([10, 20, 30, 40, 1, 2, 3, 4, 50, 60, 70, 80], [3, 4]),
    },
    build: (g, I) => [
      single(g, g.ScatterND(half(g, I("data")), I("rows"), half(g, I("updates")), { reduction: "add" })),
    ],
    expected: (grid) => {
      const sum = grid("data");
      for (const [row = 0, column = 0] of indicesOf([3, 4])) {
        sum.add([grid("rows").at(row, 0), column], grid("updates").at(row, column));
      }
      return [sum.data];
    },
  },
];
