import { expect, test } from "vitest";
import { optimizerGraph } from "../../../graph-builder/index.ts";
import { dealOut, SharedState } from "../../../runtime/replicas/collective.ts";
import { withoutUpdates } from "../../../runtime/session/lowered-models.ts";

const sizes = [2, 1, 3];

function views(replicas: number): SharedState[] {
  const layout = { sizes, replicas, hasRanks: false };
  const memory = SharedState.allocate(layout);
  return Array.from({ length: replicas }, (_, i) => new SharedState(memory, layout, i));
}

function values(...rows: readonly number[][]): Float32Array<ArrayBuffer>[] {
  return rows.map((row) => Float32Array.from(row));
}

test("gradients of all replicas are summed by their weights, from batch to batch", () => {
  const [a, b, c] = views(3);
  const gradients = values([1, 2], [3], [4, 5, 6]);
  a?.add(gradients, 7, true);
  a?.add(gradients, 0.5, true);
  b?.add(gradients, 0.25, true);
  b?.add(gradients, 0.25, false);
  c?.add(gradients, 1, true);
  c?.clear();
  const sum = values([9, 9], [9], [9, 9, 9]);
  b?.sum(sum, [0, 2]);
  expect(sum).toEqual(values([1, 2], [9], [4, 5, 6]));
});

test("what a replica publishes of its parameters the others read, and nothing else", () => {
  const [a, b] = views(2);
  a?.publish(values([1, 2], [3], [4, 5, 6]), [1, 2]);
  const mine = values([7, 7], [7], [7, 7, 7]);
  b?.read(mine, [2]);
  expect(mine).toEqual(values([7, 7], [7], [4, 5, 6]));
});

test("gradients of another length than their parameter are refused", () => {
  const [a] = views(2);
  expect(() => a?.add(values([1], [3], [4, 5, 6]), 1, true)).toThrow("parameter 0 has 1 values, not 2");
});

test.each([
  [
    [4, 4, 4, 4],
    2,
    [
      [0, 1],
      [2, 3],
    ],
  ],
  [[8, 1, 1, 1, 1], 3, [[0], [1, 2, 3, 4], []]],
  [[900, 100], 3, [[0], [1], []]],
  [[5], 2, [[0], []]],
  [[4, 0], 2, [[0, 1], []]],
])(
  "parameters of %j values for %i replicas are dealt out in runs, the first replicas first",
  (given, replicas, parts) => {
    expect(dealOut(given, replicas)).toEqual(parts);
  },
);

test("an optimizer without some updates still reads all gradients where it clips their norm, and else none of theirs", () => {
  const parameters = ["a", "b"].map((name) => ({ name, shape: [3] }));
  const rule = { kind: "sgd-nesterov", momentum: 0.9, weightDecay: 1e-4 } as const;
  const names = (maxNorm?: number) => {
    const { inputs, outputs } = withoutUpdates(optimizerGraph(parameters, { ...rule, maxNorm }), ["b"]).graph;
    return [inputs, outputs].map((list) => list.map(({ name }) => name));
  };
  expect(names()).toEqual([
    ["learning_rate", "a_grad", "a", "a.momentum"],
    ["a_next", "a.momentum_next"],
  ]);
  expect(names(1)).toEqual([
    ["learning_rate", "a_grad", "b_grad", "a", "a.momentum"],
    ["a_next", "a_grad_next", "a.momentum_next"],
  ]);
});

test("more memory than there is, is refused with the number of replicas", () => {
  expect(() => SharedState.allocate({ sizes: [2 ** 45], replicas: 2, hasRanks: false })).toThrow(
    "2 replicas share 422212.5 GB of gradients and parameters, and there is not so much memory: take fewer replicas.",
  );
});
