import { type OperatorCase, of } from "./elementwise-cases.ts";
import { normal, uniform } from "./random-tensor.ts";

const paddings = ["zeros", "border", "reflection"];

/** Cases of GridSample: pictures and places between -1.5 and 1.5, away from the kinks at the elements. */
export const gridCases: readonly OperatorCase[] = [
  ...["linear", "cubic"].flatMap((mode) =>
    paddings.flatMap((padding_mode) =>
      [0, 1].map((align_corners) =>
        of(
          "GridSample",
          `${mode}, ${padding_mode}, align_corners ${align_corners}`,
          { X: normal([2, 3, 4, 5]), grid: uniform([2, 2, 3, 2]) },
          (g, { X, grid }) => {
            const places = g.Sub(g.Mul(grid, g.float(3)), g.float(1.5));
            return g.GridSample(X, places, { mode, padding_mode, align_corners });
          },
          { step: 2 ** -11, tolerance: 2e-2 },
        ),
      ),
    ),
  ),
  ...paddings.map((padding_mode) =>
    of(
      "GridSample",
      `nearest, ${padding_mode}`,
      { X: normal(["batch", 2, "height", "width"]), grid: uniform(["batch", 2, 3, 2]) },
      (g, { X, grid }) => {
        const places = g.Sub(g.Mul(grid, g.float(3)), g.float(1.5));
        return g.GridSample(X, places, { mode: "nearest", padding_mode });
      },
      { step: 2 ** -11, tolerance: 2e-2 },
    ),
  ),
  of(
    "GridSample",
    "linear, three axes",
    { X: normal([2, 2, 2, 3, 4]), grid: uniform([2, 2, 1, 3, 3]) },
    (g, { X, grid }) => g.GridSample(X, g.Sub(grid, g.float(0.5))),
    { step: 2 ** -11, tolerance: 2e-2 },
  ),
];
