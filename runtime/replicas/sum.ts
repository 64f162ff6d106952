/**
 * Writes the sum of rows into `target`, which is none of them, and returns it. Rows are added in pairs, the
 * pairs in pairs, and so on (pairwise summation), each addition in float32. So the sum of 4 rows has the same
 * bits as that of 2 sums of 2 rows: it does not matter how many of the replicas are threads of one process.
 * Throws RangeError for a row of another length than the target.
 */
export function sumInto(target: Float32Array, rows: readonly Float32Array[]): Float32Array {
  const [first, ...others] = rows;
  if (!first) return target.fill(0);
  for (const { length } of rows)
    if (length !== target.length)
      throw new RangeError(`a row of ${length} values is added to ${target.length}`);
  if (others.length === 0) {
    target.set(first);
    return target;
  }
  const half = 2 ** Math.ceil(Math.log2(rows.length) - 1);
  const [only, ...more] = rows.slice(half);
  sumInto(target, rows.slice(0, half));
  const right = only && more.length === 0 ? only : sumInto(new Float32Array(target.length), rows.slice(half));
  for (let k = 0; k < target.length; k++) target[k] = (target[k] ?? 0) + (right[k] ?? 0);
  return target;
}
