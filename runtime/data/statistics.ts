import type { ImageSize } from "./types.ts";

/** Mean and standard deviation of each channel, in pixel units 0..255. */
export interface ChannelStatistics {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** The smallest deviation, in place of that of a channel without any. */
const smallest = 1;

/**
 * The statistics of images uint8 [count, channels, height, width] over all their pixels, rounded to a
 * hundredth. The sums are exact.
 */
export function channelStatistics(
  images: Uint8Array,
  { channels, height, width }: ImageSize,
): ChannelStatistics {
  const area = height * width;
  const [sums, squares] = [new Float64Array(channels), new Float64Array(channels)];
  for (let plane = 0; plane * area < images.length; plane++) {
    let [sum, square] = [0, 0];
    for (let i = plane * area; i < (plane + 1) * area; i++) {
      const value = images[i] ?? 0;
      sum += value;
      square += value * value;
    }
    const channel = plane % channels;
    sums[channel] = (sums[channel] ?? 0) + sum;
    squares[channel] = (squares[channel] ?? 0) + square;
  }
  const count = images.length / channels;
  const hundredths = (value: number) => Math.round(100 * value) / 100;
  return {
    mean: Array.from(sums, (sum) => hundredths(sum / count)),
    std: Array.from(squares, (square, channel) => {
      const variance = square / count - ((sums[channel] ?? 0) / count) ** 2;
      return Math.max(smallest, hundredths(Math.sqrt(Math.max(0, variance))));
    }),
  };
}
