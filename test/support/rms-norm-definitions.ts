import { at } from "../../graph-builder/index.ts";
import type { Definition } from "./definitions.ts";
import { normal } from "./random-tensor.ts";
import { Grid } from "./reference.ts";

const epsilon = 1e-2;

/** Slices of `count` elements of X, each with its inverse root mean square. */
function slicesOf(X: Grid, count: number): { row: number[]; invStd: number }[] {
  return Array.from({ length: X.data.length / count }, (_, s) => {
    const row = X.data.slice(s * count, (s + 1) * count);
    const square = row.reduce((sum, x) => sum + x * x, 0) / count;
    return { row, invStd: 1 / Math.sqrt(square + epsilon) };
  });
}

function rmsNorm(title: string, axis: number, size: number[]): Definition[] {
  const count = size.reduce((product, dim) => product * dim, 1);
  const inputs = { X: normal(["batch", 2, 4]), scale: normal(size) };
  return [
    {
      opType: "SimplifiedLayerNormalization",
      title,
      inputs,
      build: (g, I) => g.SimplifiedLayerNormalization(I("X"), I("scale"), { axis, epsilon }),
      expected: (grid) => {
        const slices = slicesOf(grid("X"), count);
        const Y = slices.flatMap(({ row, invStd }) =>
          row.map((x, i) => x * invStd * at(grid("scale").data, i)),
        );
        return [Y, slices.map(({ invStd }) => invStd)];
      },
    },
    {
      opType: "SimplifiedLayerNormalizationGrad",
      title,
      inputs: { ...inputs, dY: normal(["batch", 2, 4]) },
      build: (g, I) => {
        const [, invStd] = g.SimplifiedLayerNormalization(I("X"), I("scale"), { axis, epsilon });
        return g.SimplifiedLayerNormalizationGrad(I("dY"), I("X"), I("scale"), invStd, { axis, epsilon });
      },
      expected: (grid) => {
        const [X, dY, scale] = [grid("X"), grid("dY"), grid("scale")];
        const [dX, dScale] = [new Grid(X.dims), new Grid([count])];
        for (const [s, { row, invStd }] of slicesOf(X, count).entries()) {
          for (const [i, x] of row.entries()) {
            const d = at(dY.data, s * count + i);
            dScale.add([i], d * x * invStd);
            // dx_i / dX_j = invStd (1[i = j] - x_i x_j / n)
            for (const [j, other] of row.entries()) {
              const jacobian = invStd * ((i === j ? 1 : 0) - (x * other * invStd ** 2) / count);
              dX.data[s * count + j] = at(dX.data, s * count + j) + d * at(scale.data, i) * jacobian;
            }
          }
        }
        return [dX.data, dScale.data];
      },
    },
  ];
}

/** RMSNorm. ONNX Runtime calls it SimplifiedLayerNormalization. */
export const rmsNormDefinitions: readonly Definition[] = [
  ...rmsNorm("last axis", -1, [4]),
  ...rmsNorm("two axes", 1, [2, 4]),
];
