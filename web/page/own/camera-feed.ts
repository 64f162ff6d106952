import { openCamera } from "../camera.ts";
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
  #opening: Promise<void> | undefined;

  constructor(onChange: (isOpen: boolean) => void) {
    this.#onChange = onChange;
    find("own-camera-close", HTMLButtonElement).addEventListener("click", () => this.close());
  }

  get isOpen(): boolean {
    return this.#video.srcObject !== null;
  }

  /** Opens the camera where it is not open. Throws UserError where there is none or the user refuses it. */
  open(): Promise<void> {
    if (this.isOpen) return Promise.resolve();
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
    const { srcObject } = this.#video;
    if (!(srcObject instanceof MediaStream)) return;
    for (const track of srcObject.getTracks()) track.stop();
    this.#video.srcObject = null;
    this.#card.hidden = true;
    this.#onChange(false);
  }

  async #start(): Promise<void> {
    const stream = await openCamera();
    // another program, or the browser, may end it
    for (const track of stream.getTracks()) track.addEventListener("ended", () => this.close());
    this.#video.srcObject = stream;
    this.#card.hidden = false;
    await this.#video.play();
    this.#onChange(true);
  }
}
