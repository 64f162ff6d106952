/** Predictions of about the same confidence. */
export interface ReliabilityBin {
  /** The confidences of the bin: above `from`, up to `to`; the first bin also holds 0. */
  readonly from: number;
  readonly to: number;
  readonly images: number;
  /** The mean probability of the predicted class; 0 for an empty bin. */
  readonly confidence: number;
  /** The share of right predictions, from 0 to 1; 0 for an empty bin. */
  readonly accuracy: number;
}

/** How well the probabilities of predictions agree with how often they are right. */
export interface Reliability {
  readonly bins: readonly ReliabilityBin[];
  /**
   * The expected calibration error, from 0 to 1: the mean of |accuracy - confidence| over the bins, weighted
   * by their images (Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3).
   */
  readonly expectedError: number;
  /** Mean confidence minus accuracy: above 0, the network is surer than it is right. */
  readonly overconfidence: number;
}

/** The number of bins of the paper. */
const BINS = 15;

/** Running sums of predictions in bins of equal width by their confidence. */
export class ReliabilitySums {
  readonly #images = new Float64Array(BINS);
  readonly #confidence = new Float64Array(BINS);
  readonly #right = new Float64Array(BINS);

  /** Adds a prediction: the probability of the predicted class, and whether that is the right one. */
  add(confidence: number, isRight: boolean): void {
    // a confidence that is not a number counts in the first bin
    const bin = Math.min(BINS - 1, Math.max(0, Math.ceil(confidence * BINS) - 1)) || 0;
    this.#images[bin] = (this.#images[bin] ?? 0) + 1;
    this.#confidence[bin] = (this.#confidence[bin] ?? 0) + confidence;
    if (isRight) this.#right[bin] = (this.#right[bin] ?? 0) + 1;
  }

  /** The result over all predictions added. */
  result(): Reliability {
    const images = sumOf(this.#images);
    const bins = Array.from(this.#images, (count, i) => ({
      from: i / BINS,
      to: (i + 1) / BINS,
      images: count,
      confidence: count === 0 ? 0 : (this.#confidence[i] ?? 0) / count,
      accuracy: count === 0 ? 0 : (this.#right[i] ?? 0) / count,
    }));
    const gaps = bins.map((bin) => bin.images * Math.abs(bin.accuracy - bin.confidence));
    return {
      bins,
      expectedError: images === 0 ? 0 : sumOf(gaps) / images,
      overconfidence: images === 0 ? 0 : (sumOf(this.#confidence) - sumOf(this.#right)) / images,
    };
  }
}

function sumOf(values: Iterable<number>): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
