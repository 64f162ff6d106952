/** What a replica does before the gradients are summed: it adds weighted gradients, or clears its row. */
export type CollectiveAction =
  | { readonly add: readonly (readonly number[])[]; readonly weight: number; readonly reset: boolean }
  | "clear";

/** A sum of gradients that every collective must make. */
export interface CollectiveCase {
  readonly title: string;
  /** The number of values of each parameter. */
  readonly sizes: readonly number[];
  /** For each replica, in the order of the replicas, what it does. */
  readonly replicas: readonly (readonly CollectiveAction[])[];
  /** The sums of all parameters' gradients, which every replica must get. */
  readonly sums: readonly (readonly number[])[];
}

const add = (values: number[][], weight = 1, reset = true): CollectiveAction => ({
  add: values,
  weight,
  reset,
});

/** 1 is lost beside so large a float32. */
const LARGE = 2 ** 24;

/** Cases for 4 replicas, so that they can be 4 ranks, 2 ranks of 2 replicas, or one process. */
export const collectiveCases: readonly CollectiveCase[] = [
  {
    title: "gradients are summed by their weights, from batch to batch",
    sizes: [2, 1, 3],
    replicas: [
      [add([[1, 2], [3], [4, 5, 6]], 7), add([[1, 2], [3], [4, 5, 6]], 0.5)],
      [add([[1, 2], [3], [4, 5, 6]], 0.25), add([[1, 2], [3], [4, 5, 6]], 0.25, false)],
      [add([[1, 2], [3], [4, 5, 6]]), "clear"],
      [add([[10, 20], [30], [40, 50, 60]])],
    ],
    sums: [[11, 22], [33], [44, 55, 66]],
  },
  {
    title:
      "float32 values are added in pairs, so the bits of the sum do not depend on where the replicas are",
    sizes: [1, 1],
    replicas: [[add([[LARGE], [1]])], [add([[1], [LARGE]])], [add([[1], [1]])], [add([[1], [-LARGE]])]],
    // (2^24 + 1) + (1 + 1), and (1 + 2^24) + (1 - 2^24)
    sums: [[LARGE + 2], [1]],
  },
  {
    title: "fewer values than replicas, and parameters without values, are summed too",
    sizes: [0, 1, 0],
    replicas: [1, 2, 3, 4].map((value) => [add([[], [value], []])]),
    sums: [[], [10], []],
  },
];
