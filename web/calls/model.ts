import type { PictureFeeding } from "../../runtime/data/picture-input.ts";
import type { ImageSize } from "../../runtime/data/types.ts";

/** How a network is given pictures. */
export interface PictureForm {
  readonly size: ImageSize;
  /** The colour behind transparent pictures, 0..255: red, green and blue, or one grey. */
  readonly background: readonly number[];
}

/** The file of a model or of a checkpoint, as the user opened it. */
export interface ModelFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  /**
   * The checkpoint that the model was frozen from. Its branches are separate, so their weights can be set.
   */
  readonly checkpoint?: Uint8Array | undefined;
  /** How the user has it fed, in place of what the file says. */
  readonly feeding?: Pick<PictureFeeding, "pixels" | "size"> | undefined;
}

/** What is known of a model: what its metadata say, and how it is given pictures. */
export interface ModelInfo {
  readonly name: string;
  /** Such as `ShakeNet 8 2x16d`. */
  readonly network?: string | undefined;
  readonly data?: string | undefined;
  readonly classNames: readonly string[];
  /** In percent. */
  readonly testAccuracy?: number | undefined;
  readonly bytes: number;
  /** The number of residual blocks; undefined where the branches are merged and there is no checkpoint. */
  readonly blocks?: number | undefined;
  readonly input: PictureForm;
  /** How pixels become its numbers, as `--pixels` of the command line says it. */
  readonly pixels: string;
  /** What the file does not say, so that the user has to know it. */
  readonly unsaid: { readonly pixels: boolean; readonly size: boolean };
}

export const deviceNames = ["wasm", "webgpu"] as const;
export type DeviceName = (typeof deviceNames)[number];
export type DeviceChoice = DeviceName | "auto";

/** How long a device takes for one picture, or why it is not used: a clause without a full stop. */
export type DeviceReport = { readonly milliseconds: number } | { readonly reason: string };

/** The devices of the page, measured with the model that is shown. */
export interface Devices {
  readonly chosen: DeviceName;
  readonly threads: number;
  /** Why wasm has one thread; undefined where it has more. */
  readonly threadsReason?: string | undefined;
  readonly wasm?: DeviceReport | undefined;
  /** Undefined until WebGPU has been measured. */
  readonly webgpu?: DeviceReport | undefined;
}

/** Labelled pictures: raw pixels uint8 [count, channels, height, width] and their classes. */
export interface Examples {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
}

/** Probabilities float [rows, classes], and how they were computed. */
export interface Answer {
  readonly probabilities: Float32Array;
  readonly device: DeviceName;
  readonly milliseconds: number;
}

/** The functions of the worker for the model that is shown. */
export interface ModelCalls {
  /** Opens a model and measures it on wasm. */
  open(file: ModelFile): Promise<{ info: ModelInfo; devices: Devices }>;
  /** Measures WebGPU unless wasm is chosen. `auto` takes the faster device. */
  chooseDevice(choice: DeviceChoice): Promise<Devices>;
  /** Draws `count` test pictures of `shapes`, 3 x 32 x 32, after the first `from`. */
  drawExamples(count: number, from: number): Promise<Examples>;
  /** Classifies images of the model's size. Returns probabilities [count, classes]. */
  classify(images: Uint8Array): Promise<Answer>;
  /** Classifies one image with each row of alphas [rows, blocks]. Returns probabilities [rows, classes]. */
  shake(image: Uint8Array, alphas: Float32Array): Promise<Answer>;
  /**
   * Runs the backward graph of the network on labelled pictures with the same alpha [blocks] and beta for
   * each. Returns the L2 norms of the gradients of the first filters of both branches, [blocks, 2].
   */
  branchGradients(pictures: Examples, alpha: Float32Array, beta: number): Promise<Float32Array>;
}

/** What the worker tells while it starts. */
export type StartEvent = { readonly type: "download"; readonly received: number; readonly total: number };
