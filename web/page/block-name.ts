/** The name of a block of a network that has `count` blocks in three stages; index from 0. */
export function blockName(index: number, count: number): string {
  const perStage = count / 3;
  return `Stage ${Math.floor(index / perStage) + 1}, block ${(index % perStage) + 1}`;
}
