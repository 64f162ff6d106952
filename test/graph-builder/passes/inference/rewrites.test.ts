import { describe, expect, test } from "vitest";
import {
  type Builder,
  createBuilder,
  foldBatchNormalization,
  foldCrop,
  foldScale,
  Graph,
  inferencePasses,
  joinConvolutions,
  mergeBranches,
  type Pass,
  RandomStream,
  runPasses,
  simplifyForInference,
  Tensor,
  type Value,
  withPrecision,
} from "../../../../graph-builder/index.ts";
import { normal } from "../../../support/random-tensor.ts";
import { runGraph } from "../../../support/run-graph.ts";

/** A constant of normal numbers; with `spread` uniform ones of [0.2, 2.2) in their place. */
function random(g: Builder, name: string, dims: readonly number[], spread = false): Value {
  const stream = new RandomStream(11, name);
  const size = dims.reduce((product, dim) => product * dim, 1);
  const data = Float32Array.from({ length: size }, (_, i) =>
    spread ? 0.2 + 2 * stream.uniform(i) : stream.normal(i),
  );
  return g.constant(new Tensor("float", dims, data), name);
}

function batchNorm(g: Builder, X: Value, name: string, epsilon = 1e-5): Value {
  const channels = Number(X.shape[1]);
  const vector = (leaf: string, spread = false) => random(g, `${name}.${leaf}`, [channels], spread);
  const [scale, bias, mean] = [vector("weight"), vector("bias"), vector("running_mean")];
  return g.BatchNormalization(X, scale, bias, mean, vector("running_var", true), { epsilon })[0];
}

type Build = (g: Builder, X: Value) => Value | readonly Value[];

function graphOf(build: Build, shape: readonly (number | string)[] = ["batch", 4, 7, 6]): Graph {
  const g = createBuilder(new Graph("unfolded"));
  const made = build(g, g.input("X", "float", shape));
  for (const [i, value] of (Array.isArray(made) ? made : [made]).entries()) g.output(value, `y${i}`);
  return g.graph;
}

function operatorsOf(graph: Graph): string {
  return graph.nodes.map(({ opType }) => opType).join(" ");
}

/** The largest difference of two graphs' outputs, relative to the largest number, over a random X. */
async function difference(one: Graph, other: Graph): Promise<number> {
  const { tensor: X } = normal(one.input("X").shape);
  const [expected, found] = [await runGraph(one, { X }, {}), await runGraph(other, { X }, {})];
  expect(Object.keys(found)).toEqual(Object.keys(expected));
  const errors = Object.entries(expected).map(([name, { dims, data }]) => {
    expect(found[name]?.dims).toEqual(dims);
    const numbers = Array.from(data as Float32Array);
    const scale = Math.max(...numbers.map(Math.abs));
    expect(scale).toBeGreaterThan(0.01);
    return Math.max(...numbers.map((value, i) => Math.abs(value - Number(found[name]?.data[i])))) / scale;
  });
  return Math.max(...errors);
}

/** What passes must make of a graph. */
interface Case {
  readonly title: string;
  readonly passes: readonly Pass[];
  readonly build: Build;
  readonly operators: string;
}

const threeByThree = { kernel_shape: [3, 3], pads: [1, 1, 1, 1] };

const cases: readonly Case[] = [
  {
    title: "batch normalisation becomes part of a convolution, negative scales too",
    passes: [foldBatchNormalization],
    build: (g, X) => batchNorm(g, g.Conv(X, random(g, "c.weight", [5, 4, 3, 3]), threeByThree), "bn"),
    operators: "Conv",
  },
  {
    title: "batch normalisation becomes part of a grouped, strided, dilated convolution with a bias",
    passes: [foldBatchNormalization],
    build: (g, X) => {
      const attributes = {
        kernel_shape: [2, 3],
        group: 2,
        strides: [2, 1],
        dilations: [1, 2],
        pads: [1, 0, 0, 2],
      };
      const conv = g.Conv(X, random(g, "c.weight", [6, 2, 2, 3]), random(g, "c.bias", [6]), attributes);
      return batchNorm(g, conv, "bn", 0.1);
    },
    operators: "Conv",
  },
  {
    title: "batch normalisation stays behind a convolution that something else reads",
    passes: [foldBatchNormalization],
    build: (g, X) => {
      const conv = g.Conv(X, random(g, "c.weight", [5, 4, 1, 1]));
      return g.Add(batchNorm(g, conv, "bn"), conv);
    },
    operators: "Conv BatchNormalization Add",
  },
  {
    title: "batch normalisation stays behind a convolution that is an output",
    passes: [foldBatchNormalization],
    build: (g, X) => {
      const conv = g.Conv(X, random(g, "c.weight", [5, 4, 1, 1]));
      return [conv, batchNorm(g, conv, "bn")];
    },
    operators: "Conv BatchNormalization",
  },
  {
    title: "two convolutions that share their weights are folded each for itself",
    passes: [foldBatchNormalization],
    build: (g, X) => {
      const W = random(g, "c.weight", [4, 4, 1, 1]);
      return batchNorm(g, g.Conv(batchNorm(g, g.Conv(X, W), "bn1"), W), "bn2");
    },
    operators: "Conv Conv",
  },
  {
    title: "a constant factor on either side becomes part of a convolution",
    passes: [foldScale],
    build: (g, X) => {
      const conv = g.Conv(X, random(g, "c.weight", [5, 4, 1, 1]), random(g, "c.bias", [5]));
      return g.Mul(g.float(-0.3), g.Mul(conv, g.float([2], [1, 1, 1, 1])));
    },
    operators: "Conv",
  },
  {
    title: "a factor for each channel stays",
    passes: [foldScale],
    build: (g, X) => g.Mul(g.Conv(X, random(g, "c.weight", [5, 4, 1, 1])), random(g, "f", [5, 1, 1])),
    operators: "Conv Mul",
  },
  ...[1, 2].map(
    (stride): Case => ({
      title: `a crop before the shifted 1x1 convolution of a shortcut becomes part of it, stride ${stride}`,
      passes: [foldCrop],
      build: (g, X) => {
        const cropped = g.Slice(X, g.int64([0, 0]), g.int64([-1, -1]), g.int64([2, 3]));
        const attributes = { strides: [stride, stride], pads: [1, 1, 0, 0] };
        return g.Conv(cropped, random(g, "c.weight", [5, 4, 1, 1]), attributes);
      },
      operators: "Conv",
    }),
  ),
  {
    title: "a crop of two rows before a 3x2 convolution becomes part of it",
    passes: [foldCrop],
    build: (g, X) => {
      const cropped = g.Slice(X, g.int64([0]), g.int64([5]), g.int64([2]));
      return g.Conv(cropped, random(g, "c.weight", [5, 4, 3, 2]), { strides: [2, 1], pads: [2, 0, 0, 0] });
    },
    operators: "Conv",
  },
  {
    title: "a crop before a convolution that pads the end stays",
    passes: [foldCrop],
    build: (g, X) => {
      const cropped = g.Slice(X, g.int64([0]), g.int64([-1]), g.int64([2]));
      return g.Conv(cropped, random(g, "c.weight", [5, 4, 3, 3]), threeByThree);
    },
    operators: "Slice Conv",
  },
  {
    title: "a crop of the first row stays",
    passes: [foldCrop],
    build: (g, X) => {
      const cropped = g.Slice(X, g.int64([1]), g.int64([9]), g.int64([2]));
      return g.Conv(cropped, random(g, "c.weight", [5, 4, 1, 1]));
    },
    operators: "Slice Conv",
  },
  {
    title: "joined convolutions of unlike kernels and pads are one",
    passes: [joinConvolutions],
    build: (g, X) => {
      const near = g.Conv(X, random(g, "a.weight", [3, 4, 1, 1]), { strides: [2, 2] });
      const far = g.Conv(X, random(g, "b.weight", [2, 4, 2, 2]), { strides: [2, 2], pads: [1, 1, 0, 0] });
      const wide = g.Conv(X, random(g, "c.weight", [2, 4, 3, 3]), random(g, "c.bias", [2]), {
        strides: [2, 2],
        pads: [1, 1, 1, 1],
      });
      return g.Concat(near, far, wide, { axis: 1 });
    },
    operators: "Conv",
  },
  {
    title: "joined convolutions of other strides stay",
    passes: [joinConvolutions],
    build: (g, X) => {
      const even = g.Conv(X, random(g, "a.weight", [3, 4, 1, 1]), { strides: [7, 6] });
      const odd = g.Conv(X, random(g, "b.weight", [2, 4, 1, 1]), { strides: [8, 7] });
      return g.Concat(even, odd, { axis: 1 });
    },
    operators: "Conv Conv Concat",
  },
  {
    title: "joined convolutions of other maps stay",
    passes: [joinConvolutions],
    build: (g, X) => {
      const one = g.Conv(X, random(g, "a.weight", [3, 4, 1, 1]));
      return g.Concat(one, g.Conv(g.Relu(X), random(g, "b.weight", [2, 4, 1, 1])), { axis: 1 });
    },
    operators: "Conv Relu Conv Concat",
  },
  {
    title: "added convolutions are one over the joined channels, their Relu behind the Concat",
    passes: [mergeBranches],
    build: (g, X) => {
      const branch = (name: string, width: number) => {
        const hidden = g.Relu(g.Conv(X, random(g, `${name}.conv1.weight`, [width, 4, 3, 3]), threeByThree));
        return g.Conv(
          hidden,
          random(g, `${name}.conv2.weight`, [5, width, 3, 3]),
          random(g, `${name}.conv2.bias`, [5]),
          threeByThree,
        );
      };
      return g.Add(branch("block.branch1", 3), branch("block.branch2", 2));
    },
    operators: "Conv Conv Concat Relu Conv",
  },
  {
    title: "added convolutions of maps that others read are one over a Concat",
    passes: [mergeBranches],
    build: (g, X) => {
      const hidden = g.Relu(X);
      const one = g.Conv(hidden, random(g, "a.weight", [4, 4, 1, 1]));
      return g.Add(g.Add(one, g.Conv(X, random(g, "b.weight", [4, 4, 1, 1]))), hidden);
    },
    operators: "Relu Concat Conv Add",
  },
  {
    title: "added convolutions of unlike windows stay",
    passes: [mergeBranches],
    build: (g, X) => {
      const one = g.Conv(X, random(g, "a.weight", [4, 4, 1, 1]));
      return g.Add(one, g.Conv(X, random(g, "b.weight", [4, 4, 3, 3]), threeByThree));
    },
    operators: "Conv Conv Add",
  },
  {
    title: "a Shake-Shake block is Conv, Relu, Conv, Add",
    passes: inferencePasses("float"),
    build: (g, X) => {
      const activated = g.Relu(X);
      const branch = (name: string) => {
        const layer = (x: Value, leaf: string) =>
          batchNorm(
            g,
            g.Conv(x, random(g, `${name}.${leaf}.weight`, [4, 4, 3, 3]), threeByThree),
            `${name}.${leaf}.bn`,
          );
        return layer(g.Relu(layer(activated, "conv1")), "conv2");
      };
      const mixed = g.Mul(g.Add(branch("branch1"), branch("branch2")), g.float(0.5));
      return g.Add(X, mixed);
    },
    operators: "Relu Conv Relu Conv Add",
  },
];

describe("passes for inference", () => {
  test.each(cases)("$title", async ({ passes, build, operators }) => {
    const unfolded = graphOf(build);
    const folded = runPasses(unfolded, passes);
    expect(operatorsOf(folded)).toBe(operators);
    expect(await difference(unfolded, folded)).toBeLessThan(2e-6);
  });

  test("weights keep the part of their names that they share", () => {
    const [merged] = cases.filter(({ title }) => title.startsWith("added convolutions are one"));
    const folded = mergeBranches.run(graphOf(merged?.build ?? ((_, X) => X)));
    expect(folded.initializers.map(({ name }) => name)).toEqual([
      "block.branch1.conv1.weight",
      "block.branch2.conv1.weight",
      "block.conv2.weight",
      "block.conv2.bias",
    ]);
  });

  test.each<[end: number, operators: string]>([
    [-1, "Conv"],
    [5, "Slice Conv"],
  ])("a crop to row %d of a map of unknown height leaves %s", (end, operators) => {
    const build: Build = (g, X) => {
      const cropped = g.Slice(X, g.int64([0]), g.int64([end]), g.int64([2]));
      return g.Conv(cropped, random(g, "c.weight", [5, 4, 2, 2]), { strides: [2, 2] });
    };
    const unfolded = graphOf(build, ["batch", 4, "height", 6]);
    const folded = foldCrop.run(unfolded);
    expect(operatorsOf(folded)).toBe(operators);
    expect(folded.output("y0").type).toEqual(unfolded.output("y0").type);
  });

  test("batch normalisation in training mode stays", () => {
    const graph = graphOf((g, X) => {
      const vector = (name: string) => random(g, name, [4], true);
      const conv = g.Conv(X, random(g, "c.weight", [4, 4, 1, 1]));
      const statistics = [vector("s"), vector("b"), vector("m"), vector("v")] as const;
      return g.BatchNormalization(conv, ...statistics, { training_mode: 1 })[0];
    });
    expect(operatorsOf(foldBatchNormalization.run(graph))).toBe("Conv BatchNormalization");
  });

  test("filters are rounded once, from double precision", () => {
    const graph = graphOf((g, X) => {
      const conv = g.Conv(X, random(g, "c.weight", [1, 4, 1, 1]));
      return g.Mul(g.Mul(g.Mul(conv, g.float(0.1)), g.float(0.3)), g.float(7));
    });
    const weight = (of: Graph) =>
      of.nodes
        .find(({ opType }) => opType === "Conv")
        ?.input(1)
        .constant?.numbers() ?? [];
    const [one, three, seven] = [0.1, 0.3, 7].map(Math.fround);
    const exact = weight(graph).map((value) => Math.fround(value * (one ?? 0) * (three ?? 0) * (seven ?? 0)));
    expect(weight(simplifyForInference(graph))).toEqual(exact);
  });
});

describe("withPrecision", () => {
  test("keeps the types of inputs and outputs and computes in between in halves", async () => {
    const graph = graphOf((g, X) => g.Relu(g.Conv(X, random(g, "c.weight", [5, 4, 3, 3]), threeByThree)));
    const half = runPasses(graph, [withPrecision("float16")]);
    expect(operatorsOf(half)).toBe("Cast Conv Relu Cast");
    expect(half.inputs.concat(half.outputs).map(({ elemType }) => elemType)).toEqual(["float", "float"]);
    const error = await difference(graph, half);
    expect(error).toBeGreaterThan(0);
    expect(error).toBeLessThan(3e-3);
  });

  test("its casts of inputs take no name that a node of the graph has", () => {
    const graph = graphOf((g, X) => g.Cast(g.Cast(X, { to: 7 }), { to: 1 }));
    const { nodes } = runPasses(graph, [withPrecision("double")]);
    expect(nodes.map(({ opType }) => opType)).toEqual(["Cast", "Cast", "Cast", "Cast"]);
    expect(new Set(nodes.map(({ name }) => name)).size).toBe(4);
  });

  test("a way to double and back is the same graph, its casts gone", async () => {
    const graph = graphOf((g, X) => g.Mul(g.Cast(g.Cast(X, { to: 11 }), { to: 1 }), g.float(0.1)));
    const back = runPasses(graph, [withPrecision("double"), withPrecision("float")]);
    expect(operatorsOf(back)).toBe("Mul");
    expect(await difference(graph, back)).toBe(0);
  });
});
