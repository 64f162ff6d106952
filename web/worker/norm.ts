/** The L2 norm of a list of any length. */
export function l2Norm(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}
