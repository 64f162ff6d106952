import { Bars, percent } from "../bars.ts";
import { find } from "../dom.ts";
import type { Messages } from "../messages.ts";
import { ownForm, Picture, paint, readPicture, shrink } from "../pictures.ts";
import { latest } from "../worker-client.ts";
import type { CameraFeed } from "./camera-feed.ts";
import type { OwnNetwork } from "./own-network.ts";

const UNTRAINED = "Train the network, then try it.";

/** The answers of the network: to a picture that is given, and to the camera for as long as it is on. */
export class Trial {
  readonly #network: OwnNetwork;
  readonly #camera: CameraFeed;
  readonly #messages: Messages;
  readonly #bars = new Bars(find("own-bars", HTMLOListElement));
  readonly #answer = find("own-answer", HTMLHeadingElement);
  readonly #live = find("own-live", HTMLParagraphElement);
  readonly #rate = find("own-rate", HTMLParagraphElement);
  readonly #show: (picture: Picture) => void;
  #isLooking = false;
  #said = "";
  /** The picture that was answered to last, unless the camera showed it. */
  #last: Picture | undefined;

  constructor(network: OwnNetwork, camera: CameraFeed, messages: Messages) {
    [this.#network, this.#camera, this.#messages] = [network, camera, messages];
    this.#show = latest((picture) => messages.guard(() => this.#answerFor(picture)));
  }

  /** Says that no network is trained, or has the one that is answer to the last picture. */
  reset(): void {
    if (this.#network.current) {
      if (this.#last) this.#show(this.#last);
      return;
    }
    this.#last = undefined;
    this.#answer.textContent = "Try it";
    this.#bars.show(new Float32Array(), []);
    this.#live.textContent = UNTRAINED;
    const canvas = find("own-picture", HTMLCanvasElement);
    canvas.getContext("2d")?.clearRect(0, 0, canvas.width, canvas.height);
    canvas.ariaLabel = "No picture yet";
  }

  /** Classifies a file. Throws UserError for one that is no picture. */
  async tryFile(file: File): Promise<void> {
    this.#expectNetwork();
    const { current } = this.#network;
    const picture = await readPicture(file, file.name);
    // a picture is not shown where everything was forgotten while it was read
    if (!current || this.#network.current) this.#show(picture);
  }

  tryCanvas(canvas: HTMLCanvasElement): void {
    this.#expectNetwork();
    this.#show(Picture.ofImage("your drawing", canvas, canvas.width, canvas.height));
  }

  /** Answers to the camera until it is off. */
  async look(): Promise<void> {
    if (this.#isLooking) return;
    this.#isLooking = true;
    const times: number[] = [];
    while (this.#camera.isOpen) {
      await new Promise(requestAnimationFrame);
      const frame = this.#camera.frame();
      if (!frame) continue;
      if (!this.#network.current) {
        this.#live.textContent = UNTRAINED;
        this.#rate.textContent = "";
        continue;
      }
      const picture = Picture.ofPixels("camera", shrink(frame.source, frame.width, frame.height));
      await this.#messages.inBackground(() => this.#answerFor(picture, true));
      const now = performance.now();
      times.push(now);
      while ((times[0] ?? now) < now - 1000) times.shift();
      this.#rate.textContent = `${times.length} answers in the last second`;
    }
    this.#isLooking = false;
  }

  #expectNetwork(): void {
    if (!this.#network.current) this.#messages.say(UNTRAINED);
  }

  async #answerFor(picture: Picture, isLive = false): Promise<void> {
    const { current } = this.#network;
    this.#last = isLive ? undefined : picture;
    paint(find("own-picture", HTMLCanvasElement), picture);
    if (!current) return;
    const { probabilities } = await this.#network.classify(picture.pixelsIn(ownForm));
    // it may have been forgotten meanwhile, or another one trained
    if (current !== this.#network.current) return;
    const { name, probability } = this.#bars.show(probabilities, current.classNames);
    const answer = `Recognised as ${name} (${percent(probability)})`;
    this.#answer.textContent = answer;
    if (!isLive) this.#messages.announce(`${picture.name}: ${answer}`);
    else {
      this.#live.textContent = answer;
      // a screen reader hears a new class once the answers rest on it
      if (name !== this.#said) this.#messages.announceAtRest(`Recognised as ${name}`);
      this.#said = name;
    }
  }
}
