/** One entry of each list, in all combinations; the last list's entry changes first. */
export function combinations<T>(lists: readonly (readonly T[])[]): T[][] {
  return lists.reduce<T[][]>(
    (all, list) => all.flatMap((combination) => list.map((entry) => [...combination, entry])),
    [[]],
  );
}
