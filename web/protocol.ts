import type { ErrorData } from "../graph-builder/errors.ts";
import type { ClassificationEvent } from "../runtime/data/classification-task.ts";

/** The file of a model or of a checkpoint, as the user opened it. */
export interface ModelFile {
  readonly name: string;
  readonly bytes: Uint8Array;
  /**
   * The checkpoint that the model was frozen from. Its branches are separate, so their weights can be set.
   */
  readonly checkpoint?: Uint8Array | undefined;
}

/** What the metadata of a model say. */
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

/** Labelled pictures: raw pixels uint8 [count, 3, 32, 32] and their classes. */
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

/** The settings of a training that a user can choose. The page fixes the others. */
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

/** The functions of the worker that the page calls. A UserError arrives as a UserError with its sentence. */
export interface Calls {
  /** Opens a model and measures it on wasm. */
  open(file: ModelFile): Promise<{ info: ModelInfo; devices: Devices }>;
  /** Measures WebGPU unless wasm is chosen. `auto` takes the faster device. */
  chooseDevice(choice: DeviceChoice): Promise<Devices>;
  /** Draws `count` test pictures of `shapes` after the first `from`. */
  drawExamples(count: number, from: number): Promise<Examples>;
  /** Classifies images uint8 [count, 3, 32, 32]. Returns probabilities [count, classes]. */
  classify(images: Uint8Array): Promise<Answer>;
  /** Classifies one image with each row of alphas [rows, blocks]. Returns probabilities [rows, classes]. */
  shake(image: Uint8Array, alphas: Float32Array): Promise<Answer>;
  /** Starts a training. Returns when it has finished or was stopped. */
  train(choices: TrainChoices): Promise<TrainingEnd>;
  /** Continues the training from its last checkpoint. */
  resume(): Promise<TrainingEnd>;
  /** Stops the training after the step that is running. */
  stop(): Promise<void>;
  /** Freezes the last checkpoint of the training. */
  trained(): Promise<Trained>;
}

export type CallName = keyof Calls;
export type CallArguments = { [K in CallName]: Parameters<Calls[K]> };
export type CallResults = { [K in CallName]: Awaited<ReturnType<Calls[K]>> };
/**
 * The same functions as `Calls`, in a form in which TypeScript pairs a name with its arguments and result.
 */
export type CallTable = { readonly [K in CallName]: (...args: CallArguments[K]) => Promise<CallResults[K]> };

/** The first message to the worker: the URLs of ONNX Runtime's files, and the size of its WebAssembly. */
export interface Start {
  readonly type: "start";
  readonly module: string;
  readonly wasm: string;
  readonly bytes: number;
}

/** A call of one of the functions `K`. */
export type CallMessage<K extends CallName = CallName> = {
  [P in K]: {
    readonly type: "call";
    readonly id: number;
    readonly call: P;
    readonly args: CallArguments[P];
  };
}[K];

export type ToWorker = Start | CallMessage;

/** An event of the worker that answers no call. */
export type WorkerEvent =
  | { readonly type: "download"; readonly received: number; readonly total: number }
  /** A training has its device; the reason is a clause without a full stop. */
  | { readonly type: "prepared"; readonly device: DeviceName; readonly reason: string }
  | Extract<ClassificationEvent, { type: "step" | "epoch" }>;

/** The result of a call of one of the functions `K`. */
export type ResultMessage<K extends CallName = CallName> = {
  [P in K]: {
    readonly type: "result";
    readonly id: number;
    readonly call: P;
    readonly result: CallResults[P];
  };
}[K];

/** A call that failed; `mistake` has the code and the details of a UserError. */
export interface ErrorMessage {
  readonly type: "error";
  readonly id: number;
  readonly call: CallName;
  readonly message: string;
  readonly mistake: ErrorData | undefined;
}

export type FromWorker =
  | ResultMessage
  | ErrorMessage
  | { readonly type: "event"; readonly event: WorkerEvent };
