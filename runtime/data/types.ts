/** The part of a data set that is trained on, or the one that is only ever measured. */
export type Split = "train" | "test";

/** Channels, height and width of a picture, in pixels. */
export interface ImageSize {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** Pictures and their classes. */
export interface LabelledImages {
  /** [count, channels, height, width], raw pixels 0..255 */
  readonly images: Uint8Array;
  /** [count], indices into classNames */
  readonly labels: Uint8Array | Uint16Array;
}

/** What is known of a data set before it is loaded. */
export interface DatasetSpec {
  /** the name that people use */
  readonly title: string;
  readonly classNames: readonly string[];
  readonly size: ImageSize;
  /**
   * Mean and standard deviation of the training split, one number for each channel, in pixel units 0..255: a
   * model normalises to (pixel - mean) / std.
   */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** number of images of each split where no limit is given */
  readonly counts: Readonly<Record<Split, number>>;
}

/** What a run keeps of pictures of one's own: what its network was built for, and how pictures are fed. */
export interface PictureFacts extends Pick<DatasetSpec, "classNames" | "size" | "mean" | "std"> {
  /** The colour behind transparent pictures. */
  readonly background: readonly number[];
}

/** A split of a data set in memory. */
export interface Dataset extends LabelledImages, Pick<DatasetSpec, "classNames" | "size" | "mean" | "std"> {
  readonly name: string;
  readonly count: number;
  /** The path of each image within the data set, where images are files. */
  readonly paths?: readonly string[] | undefined;
}

/** Which images to load, and from where. */
export interface LoadOptions {
  readonly split: Split;
  /**
   * the folder of the data set's files, or its parent; without it they are downloaded into the user's cache
   */
  readonly dataDir?: string | undefined;
  /** load only the first `limit` images; a data set that is drawn by code has as many as are asked for */
  readonly limit?: number | undefined;
  /** for a data set that is drawn by code: another seed draws other pictures; 0 by default */
  readonly seed?: number | undefined;
  /** called while a data set is downloaded, with the bytes on disk and those of the whole archive */
  readonly onProgress?: ((received: number, total: number) => void) | undefined;
  /** called with a sentence where a file is not the published one */
  readonly onNote?: ((sentence: string) => void) | undefined;
}

/** The number of values of a picture. */
export function pixelsOf({ channels, height, width }: ImageSize): number {
  return channels * height * width;
}

/** The first images of a data set, with their labels; all of them where it has fewer. */
export function firstImages(dataset: Dataset, most: number): Dataset {
  const count = Math.min(most, dataset.count);
  const images = dataset.images.subarray(0, count * pixelsOf(dataset.size));
  return { ...dataset, images, labels: dataset.labels.subarray(0, count), count };
}
