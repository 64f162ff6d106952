import { find } from "../dom.ts";
import type { Messages } from "../messages.ts";

const PEN = 14;
const STEP = 8;

/** A dialog in which the user draws a picture, black on white, with a pointer or the arrow keys. */
export class Drawing {
  readonly #dialog = find("drawing", HTMLDialogElement);
  readonly #canvas = find("drawing-canvas", HTMLCanvasElement);
  readonly #done = find("drawing-done", HTMLButtonElement);
  #take: (canvas: HTMLCanvasElement) => Promise<void> = async () => {};
  #pen = { x: this.#canvas.width / 2, y: this.#canvas.height / 2 };
  #isEmpty = true;

  constructor(messages: Messages) {
    find("drawing-clear", HTMLButtonElement).addEventListener("click", () => this.#clear());
    find("drawing-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    this.#done.addEventListener("click", () => void messages.guard(() => this.#finish()));
    this.#canvas.addEventListener("pointerdown", (event) => {
      this.#canvas.setPointerCapture(event.pointerId);
      this.#pen = this.#place(event);
      this.#lineTo(this.#pen);
    });
    this.#canvas.addEventListener("pointermove", (event) => {
      if (event.buttons !== 1) return;
      for (const each of event.getCoalescedEvents?.() ?? [event]) this.#lineTo(this.#place(each));
    });
    this.#canvas.addEventListener("keydown", (event) => this.#move(event));
  }

  /** Opens the dialog. `take` gets every drawing, and the dialog stays open for another one. */
  open(title: string, button: string, take: (canvas: HTMLCanvasElement) => Promise<void>): void {
    this.#take = take;
    find("drawing-title", HTMLElement).textContent = title;
    this.#done.textContent = button;
    this.#clear();
    this.#dialog.showModal();
    this.#canvas.focus();
  }

  async #finish(): Promise<void> {
    if (this.#isEmpty) return;
    await this.#take(this.#canvas);
    this.#clear();
    this.#canvas.focus();
  }

  #clear(): void {
    const context = this.#context();
    context.fillStyle = "white";
    context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    this.#isEmpty = true;
    this.#done.disabled = true;
  }

  #lineTo(place: { x: number; y: number }): void {
    const context = this.#context();
    context.lineWidth = PEN;
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(this.#pen.x, this.#pen.y);
    context.lineTo(place.x, place.y);
    context.stroke();
    this.#pen = place;
    this.#isEmpty = false;
    this.#done.disabled = false;
  }

  #place({ clientX, clientY }: MouseEvent): { x: number; y: number } {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    const { width: columns, height: rows } = this.#canvas;
    return { x: ((clientX - left) / width) * columns, y: ((clientY - top) / height) * rows };
  }

  #move(event: KeyboardEvent): void {
    const directions: Readonly<Record<string, readonly [number, number]>> = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, -1],
      ArrowDown: [0, 1],
    };
    const direction = directions[event.key];
    if (!direction) return;
    event.preventDefault();
    const within = (value: number, most: number) => Math.max(0, Math.min(most, value));
    const place = {
      x: within(this.#pen.x + STEP * direction[0], this.#canvas.width),
      y: within(this.#pen.y + STEP * direction[1], this.#canvas.height),
    };
    if (event.shiftKey) this.#lineTo(place);
    else this.#pen = place;
  }

  #context(): CanvasRenderingContext2D {
    const context = this.#canvas.getContext("2d");
    if (!context) throw new Error("the canvas of the drawing has no 2D context");
    return context;
  }
}
