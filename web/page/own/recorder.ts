import type { Messages } from "../messages.ts";
import type { CameraFeed } from "./camera-feed.ts";
import { type NewPicture, newPicture } from "./new-picture.ts";
import type { OwnClasses } from "./own-classes.ts";

const FRAME_MS = 100;
/** Frames are kept together, which costs the browser less. */
const TOGETHER = 5;

/** Takes ten pictures a second with the camera, for as long as a button is held, and at least one. */
export class Recorder {
  readonly #camera: CameraFeed;
  readonly #messages: Messages;
  readonly #classes: OwnClasses;
  #recording = 0;

  constructor(camera: CameraFeed, messages: Messages, classes: OwnClasses) {
    [this.#camera, this.#messages, this.#classes] = [camera, messages, classes];
  }

  /** Starts to record. The first press only opens the camera, because the user sees nothing yet. */
  start(classId: number): void {
    const own = ++this.#recording;
    const task = async (life: AbortSignal) => {
      if (this.#camera.isOpen) await this.#record(classId, own, life);
      else if (await this.#camera.open()) this.#messages.say("The camera is on. Hold the button to record.");
    };
    void this.#messages.guard(() => this.#classes.unlessForgotten(task));
  }

  stop(): void {
    this.#recording += 1;
  }

  async #record(classId: number, own: number, life: AbortSignal): Promise<void> {
    let [taken, frames]: [number, NewPicture[]] = [0, []];
    const keep = async () => {
      const pictures = frames;
      frames = [];
      if (pictures.length > 0) await this.#classes.addPictures(classId, pictures);
    };
    do {
      const next = performance.now() + FRAME_MS;
      const frame = this.#camera.frame();
      if (frame) frames.push(await newPicture(frame.source, frame.width, frame.height));
      taken += frame ? 1 : 0;
      if (frames.length >= TOGETHER) await keep();
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, next - performance.now())));
    } while (this.#recording === own && this.#camera.isOpen);
    await keep();
    life.throwIfAborted();
    this.#messages.say(taken === 1 ? "1 picture recorded." : `${taken} pictures recorded.`);
  }
}
