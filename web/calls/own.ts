import type { Answer, DeviceName, Examples } from "./model.ts";
import type { Trained } from "./training.ts";

/** The network whose features the pictures have: everything before its last layer. */
export interface FeatureNetworkInfo {
  /** Such as `ShakeNet 14 2x32d`. */
  readonly title: string;
  /** The data set that it has learnt; undefined for pictures of somebody's own. */
  readonly data?: string | undefined;
  /** The number of features of a picture. */
  readonly features: number;
  /** Tells the network from others. */
  readonly digest: string;
}

/** Pictures of one's own classes: those to learn from, and those that are held out. */
export interface Lesson {
  readonly classNames: readonly string[];
  /** The labels of the pictures to learn from, at least one of each class. */
  readonly labels: Uint8Array;
  /**
   * Raw pixels uint8 [count, 3, 32, 32]; or, to train the last layer alone, float features [count, features].
   */
  readonly inputs: Uint8Array | Float32Array;
  /** The pictures that the network is measured on; there may be none. */
  readonly heldOut: Examples;
}

/** A network that was trained on one's own classes. */
export interface OwnTrained extends Trained {
  /** The class that it sees in each picture that was held out. */
  readonly predictions: Uint8Array;
}

/** Features float [count, features], and the device that computed them. */
export interface Embedded {
  readonly features: Float32Array;
  readonly device: DeviceName;
}

/** The functions of the worker for the tab Your pictures. `checkpoint` is the address of a network's file. */
export interface OwnCalls {
  /** Loads the network whose features are used. */
  featureNetwork(checkpoint: string): Promise<FeatureNetworkInfo>;
  /** The features of pictures uint8 [count, 3, 32, 32], on the device that the page has chosen. */
  embed(checkpoint: string, images: Uint8Array): Promise<Embedded>;
  /** Trains a new last layer of that network on features. */
  trainLastLayer(checkpoint: string, lesson: Lesson): Promise<OwnTrained>;
  /** Trains all of a small ShakeNet on pictures. */
  trainWhole(lesson: Lesson): Promise<OwnTrained>;
  /** Ends the training that runs: its network is the one of the last step. */
  stopOwn(): Promise<void>;
  /** Opens a trained network for `classifyOwn`. */
  openOwn(onnx: Uint8Array): Promise<void>;
  /** Closes it. */
  closeOwn(): Promise<void>;
  /**
   * Classifies images uint8 [count, 3, 32, 32] with it. Rejects with UserError, code model-missing, where
   * none is open.
   */
  classifyOwn(images: Uint8Array): Promise<Answer>;
}

/** What the worker tells of the training of one's own classes. */
export interface OwnStep {
  readonly type: "own-step";
  readonly step: number;
  readonly steps: number;
  readonly loss: number;
  readonly secondsLeft: number;
}
