import type * as Ort from "onnxruntime-common";
import type { Tensor } from "../../graph-builder/tensor.ts";
import type { RuntimeDevice } from "../device/device.ts";
import { fromOrtTensor, toOrtTensor } from "../device/tensors.ts";

/** What a slot needs of its device. */
export type Home = Pick<RuntimeDevice, "ort" | "memory">;

/** Holds one tensor that is kept from step to step: in JavaScript's memory, in the device's, or in both. */
export class Slot {
  readonly #home: Home;
  #host: Ort.Tensor | undefined;
  #device: Ort.Tensor | undefined;
  /** Memory for the next tensor, of the same type and shape. */
  #spare: Ort.Tensor | undefined;
  /** The way of the tensor from the device's memory to JavaScript's, which reads that overlap share. */
  #download: Promise<Ort.Tensor> | undefined;
  /** Whether somebody may still read the tensor after the next step. */
  #isLent = false;

  /** Starts with a copy of a tensor. */
  constructor(tensor: Tensor, home: Home) {
    this.#home = home;
    this.#host = toOrtTensor(tensor, home.ort);
  }

  /** What a session is fed. */
  get tensor(): Ort.Tensor {
    const tensor = this.#device ?? this.#host;
    if (!tensor) throw new Error("the slot is empty");
    return tensor;
  }

  /** Takes a copy of a tensor. */
  set(tensor: Tensor): void {
    this.replace(toOrtTensor(tensor, this.#home.ort));
  }

  /** Takes a tensor that a session has returned. */
  replace(tensor: Ort.Tensor): void {
    this.clear();
    if (isOnDevice(tensor)) this.#device = tensor;
    else this.#host = tensor;
  }

  /**
   * Memory that a session may write the next state into. `exchange` makes it the slot's. It is never one
   * whose data `read` has shared.
   */
  get spare(): Ort.Tensor {
    this.#spare ??= toOrtTensor(fromOrtTensor(this.tensor), this.#home.ort);
    return this.#spare;
  }

  /**
   * The tensor that a session which does not read the slot may write its next state into: the slot's own, or
   * the spare where somebody else may still read the slot's.
   */
  get unread(): Ort.Tensor {
    return this.#host && !this.#device && !this.#isLent ? this.#host : this.spare;
  }

  /** Takes the tensor of `spare` or `unread`, and keeps another one that it held as the next spare. */
  exchange(written: Ort.Tensor): void {
    if (written === this.#host) return;
    this.#spare = this.#isLent ? undefined : this.#host;
    this.#host = written;
    this.#isLent = false;
  }

  /**
   * Copies the tensor into a device's memory where it is not there, so that it is uploaded once; where the
   * device offers no upload, a session does it in each call.
   */
  async place(): Promise<void> {
    if (!this.#device) this.#device = await this.#home.memory?.upload?.(this.tensor);
  }

  /**
   * The tensor, whose data no step changes. From the device's memory it is downloaded, and then kept in
   * JavaScript's memory alone.
   */
  async read(): Promise<Tensor> {
    const tensor = await this.peek();
    this.#isLent = true;
    return tensor;
  }

  /** The tensor as `read` returns it, its data shared until the next step. */
  async peek(): Promise<Tensor> {
    if (this.#host) return fromOrtTensor(this.#host);
    this.#download ??= this.#takeHome().finally(() => {
      this.#download = undefined;
    });
    return fromOrtTensor(await this.#download);
  }

  /** The tensor, whose data the caller may write. Throws TypeError where it is in a device's memory. */
  shared(): Tensor {
    if (this.#device || !this.#host) throw new TypeError("the tensor is in the memory of a device");
    return fromOrtTensor(this.#host);
  }

  async #takeHome(): Promise<Ort.Tensor> {
    const { memory } = this.#home;
    if (!memory) throw new Error("the tensor is in the memory of no device");
    const tensor = await memory.take(this.tensor);
    this.#host = tensor;
    this.#device = undefined;
    return tensor;
  }

  /** Frees the memory. */
  clear(): void {
    this.#device?.dispose();
    this.#device = undefined;
    this.#host = undefined;
    this.#spare = undefined;
    this.#isLent = false;
  }
}

function isOnDevice({ location }: Ort.Tensor): boolean {
  return location === "gpu-buffer";
}
