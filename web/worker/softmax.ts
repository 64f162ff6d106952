/** Converts each row of logits to probabilities. */
export function softmax(logits: Float32Array, classes: number): Float32Array {
  const probabilities = new Float32Array(logits.length);
  for (let first = 0; first < logits.length; first += classes) {
    const row = logits.subarray(first, first + classes);
    const largest = row.reduce((a, b) => Math.max(a, b));
    const powers = row.map((logit) => Math.exp(logit - largest));
    const sum = powers.reduce((a, b) => a + b);
    probabilities.set(
      powers.map((power) => power / sum),
      first,
    );
  }
  return probabilities;
}
