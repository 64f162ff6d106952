import { type Checkpoint, decodeCheckpoint } from "../../artifacts/index.ts";
import { RandomStream, Tensor } from "../../graph-builder/index.ts";
import { type ArtifactSettings, buildTrainingArtifacts } from "../../shakenet/index.ts";

/**
 * A checkpoint like one after training: scales other than 1, some negative, random biases, means and
 * variances.
 */
export function randomCheckpoint(settings: ArtifactSettings): Checkpoint {
  const checkpoint = decodeCheckpoint(buildTrainingArtifacts(settings).checkpoint, "a test's checkpoint");
  const shake = (name: string, tensor: Tensor): Tensor => {
    const random = new RandomStream(5, name);
    if (/conv\d?\.weight$|^fc/.test(name)) return tensor;
    const value = (i: number) => (name.endsWith("running_var") ? 0.3 + random.uniform(i) : random.normal(i));
    return new Tensor(
      "float",
      tensor.dims,
      Float32Array.from({ length: tensor.data.length }, (_, i) => value(i)),
    );
  };
  const shaken = (tensors: ReadonlyMap<string, Tensor>) =>
    new Map([...tensors].map(([name, tensor]) => [name, shake(name, tensor)]));
  return { ...checkpoint, trainable: shaken(checkpoint.trainable), frozen: shaken(checkpoint.frozen) };
}

/** Random pixels 0..255, [count, 3, 32, 32]. */
export function randomPixels(count: number): Uint8Array {
  const random = new RandomStream(9, "pixels");
  return Uint8Array.from({ length: count * 3 * 32 * 32 }, (_, i) => random.integer(i, 256));
}

/** The largest difference of two lists, divided by the largest absolute value of the second. */
export function relativeError(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  const scale = Math.max(...Array.from(expected, Math.abs));
  return Math.max(...Array.from(expected, (value, i) => Math.abs(value - (found[i] ?? Number.NaN)))) / scale;
}
