import { openCamera, stopCamera } from "../camera.ts";
import { find } from "../dom.ts";

/** A frame of the camera. */
export interface Frame {
  readonly source: HTMLVideoElement;
  readonly width: number;
  readonly height: number;
}

/** The camera of the tab: one stream, for recording and for live answers. */
export class CameraFeed {
  readonly #video = find("own-video", HTMLVideoElement);
  readonly #card = find("own-camera", HTMLElement);
  readonly #onChange: (isOpen: boolean) => void;
  #opening: Promise<boolean> | undefined;
  #isWanted = false;

  constructor(onChange: (isOpen: boolean) => void) {
    this.#onChange = onChange;
    find("own-camera-close", HTMLButtonElement).addEventListener("click", () => this.close());
  }

  get isOpen(): boolean {
    return this.#video.srcObject !== null;
  }

  /**
   * Opens the camera where it is not open. Returns whether it is: `close` may have been called meanwhile.
   * Throws UserError where there is none or the user refuses it.
   */
  async open(): Promise<boolean> {
    if (this.isOpen) return true;
    this.#isWanted = true;
    this.#opening ??= this.#start().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** The frame that is shown now; undefined until the camera has sent one. */
  frame(): Frame | undefined {
    const { videoWidth: width, videoHeight: height } = this.#video;
    return this.isOpen && width > 0 ? { source: this.#video, width, height } : undefined;
  }

  close(): void {
    this.#isWanted = false;
    const { srcObject } = this.#video;
    if (!(srcObject instanceof MediaStream)) return;
    stopCamera(srcObject);
    this.#video.srcObject = null;
    this.#card.hidden = true;
    this.#onChange(false);
  }

  async #start(): Promise<boolean> {
    const stream = await openCamera();
    if (!this.#isWanted) {
      stopCamera(stream);
      return false;
    }
    // another program, or the browser, may end it
    for (const track of stream.getTracks()) track.addEventListener("ended", () => this.close());
    this.#video.srcObject = stream;
    this.#card.hidden = false;
    // it rejects where the camera is turned off at once
    await this.#video.play().catch(() => undefined);
    if (this.isOpen) this.#onChange(true);
    return this.isOpen;
  }
}
