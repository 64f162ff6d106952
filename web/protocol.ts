import type { ClassificationEvent } from "../runtime/data/classification-task.ts";

/** A model's file, or a checkpoint's, as the page got it. */
export interface ModelFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** The checkpoint that the model was frozen from: what the branches can be mixed from. */
  readonly checkpoint?: Uint8Array | undefined;
}

/** What the model says of itself. */
export interface ModelInfo {
  readonly name: string;
  /** Such as `ShakeNet 8 2x16d`. */
  readonly network?: string | undefined;
  readonly data?: string | undefined;
  readonly classNames: readonly string[];
  /** In percent. */
  readonly testAccuracy?: number | undefined;
  readonly bytes: number;
  /** Residual blocks whose branches can be mixed; undefined where the file has them merged and no checkpoint is known. */
  readonly blocks?: number | undefined;
}

export const deviceNames = ["wasm", "webgpu"] as const;
export type DeviceName = (typeof deviceNames)[number];
export type DeviceChoice = DeviceName | "auto";

/** What is known of a device: how long one picture takes on it, or in a sentence why it is not used. */
export type DeviceReport = { readonly milliseconds: number } | { readonly reason: string };

/** The devices of the page, for the model that is shown. */
export interface Devices {
  readonly chosen: DeviceName;
  readonly threads: number;
  /** Why wasm has one thread, where it has. */
  readonly threadsReason?: string | undefined;
  readonly wasm?: DeviceReport | undefined;
  /** Missing until it has been measured. */
  readonly webgpu?: DeviceReport | undefined;
}

/** Pictures drawn by code: raw pixels uint8 [count, 3, 32, 32] with their classes. */
export interface Examples {
  readonly images: Uint8Array;
  readonly labels: Uint8Array;
}

/** Probabilities float [images, classes] in rows. */
export interface Answer {
  readonly probabilities: Float32Array;
  readonly device: DeviceName;
  readonly milliseconds: number;
}

/** What the page's training may be told; the rest is the project's recipe. */
export interface TrainChoices {
  readonly depth: number;
  readonly width: number;
  readonly images: number;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly device: DeviceChoice;
}

/** A network trained in the page. */
export interface Trained {
  readonly name: string;
  readonly onnx: Uint8Array;
  readonly checkpoint: Uint8Array;
}

export interface TrainingEnd {
  readonly step: number;
  readonly finished: boolean;
}

/** What the page asks of the worker. An answer that is a UserError comes back as one, with its sentence. */
export interface Calls {
  /** Opens a model and measures it on wasm. */
  open(file: ModelFile): Promise<{ info: ModelInfo; devices: Devices }>;
  /** Measures WebGPU too and chooses between both, unless told which. */
  chooseDevice(choice: DeviceChoice): Promise<Devices>;
  drawExamples(count: number, from: number): Promise<Examples>;
  /** Images uint8 [count, 3, 32, 32]. */
  classify(images: Uint8Array): Promise<Answer>;
  /** One image under as many mixes as `alphas` [mixes, blocks] has rows; probabilities [mixes, classes]. */
  shake(image: Uint8Array, alphas: Float32Array): Promise<Answer>;
  /** Trains anew, until it is done or stopped. */
  train(choices: TrainChoices): Promise<TrainingEnd>;
  /** Goes on from the last checkpoint. */
  resume(): Promise<TrainingEnd>;
  stop(): Promise<void>;
  trained(): Promise<Trained>;
}

export type CallName = keyof Calls;

/** What the page tells the worker first. */
export interface Start {
  readonly type: "start";
  readonly module: string;
  readonly wasm: string;
  readonly bytes: number;
}

export type CallMessage = {
  [K in CallName]: {
    readonly type: "call";
    readonly id: number;
    readonly call: K;
    readonly args: Parameters<Calls[K]>;
  };
}[CallName];

export type ToWorker = Start | CallMessage;

/** What the worker says on its own. */
export type WorkerEvent =
  | { readonly type: "download"; readonly received: number; readonly total: number }
  | { readonly type: "prepared"; readonly device: DeviceName; readonly reason: string }
  | Extract<ClassificationEvent, { type: "step" | "epoch" }>;

export type FromWorker =
  | { readonly type: "result"; readonly id: number; readonly result: unknown }
  | { readonly type: "error"; readonly id: number; readonly message: string; readonly isUser: boolean }
  | { readonly type: "event"; readonly event: WorkerEvent };
