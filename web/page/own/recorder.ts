import type { Messages } from "../messages.ts";
import type { CameraFeed } from "./camera-feed.ts";
import { type NewPicture, newPicture } from "./new-picture.ts";

const FRAME_MS = 100;
/** Frames are kept together, which costs the browser less. */
const TOGETHER = 5;

/** Takes ten pictures a second with the camera, for as long as a button is held, and at least one. */
export class Recorder {
  readonly #camera: CameraFeed;
  readonly #messages: Messages;
  readonly #add: (classId: number, pictures: readonly NewPicture[]) => Promise<void>;
  #recording = 0;

  constructor(
    camera: CameraFeed,
    messages: Messages,
    add: (classId: number, pictures: readonly NewPicture[]) => Promise<void>,
  ) {
    [this.#camera, this.#messages, this.#add] = [camera, messages, add];
  }

  /** Starts to record. The first press only opens the camera, because the user sees nothing yet. */
  start(classId: number): void {
    const own = ++this.#recording;
    void this.#messages.guard(async () => {
      if (!this.#camera.isOpen) {
        await this.#camera.open();
        this.#messages.say("The camera is on. Hold the button to record.");
      } else await this.#record(classId, own);
    });
  }

  stop(): void {
    this.#recording += 1;
  }

  async #record(classId: number, own: number): Promise<void> {
    let [taken, frames]: [number, NewPicture[]] = [0, []];
    const keep = async () => {
      const pictures = frames;
      frames = [];
      if (pictures.length > 0) await this.#add(classId, pictures);
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
    this.#messages.say(taken === 1 ? "1 picture recorded." : `${taken} pictures recorded.`);
  }
}
