import { find } from "../dom.ts";
import type { Messages } from "../messages.ts";

const PEN = 14;
const STEP = 8;

/** The directions of the keys, in steps to the right and down. */
const directions: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

interface Place {
  readonly x: number;
  readonly y: number;
}

/**
 * A dialog in which the user draws a picture, black on white, with a pointer or with the keyboard: arrow keys
 * move a pen that is shown, and Space puts it down or lifts it.
 */
export class Drawing {
  readonly #dialog = find("drawing", HTMLDialogElement);
  readonly #canvas = find("drawing-canvas", HTMLCanvasElement);
  readonly #done = find("drawing-done", HTMLButtonElement);
  #take: (canvas: HTMLCanvasElement) => Promise<void> = async () => {};
  readonly #mark = find("drawing-pen", HTMLSpanElement);
  readonly #state = find("drawing-state", HTMLParagraphElement);
  readonly #keys = new Set<string>();
  #pen: Place = { x: 0, y: 0 };
  #isDown = false;
  #isEmpty = true;

  constructor(messages: Messages) {
    find("drawing-clear", HTMLButtonElement).addEventListener("click", () => this.#clear());
    find("drawing-close", HTMLButtonElement).addEventListener("click", () => this.#dialog.close());
    this.#done.addEventListener("click", () => void messages.guard(() => this.#finish()));
    this.#canvas.addEventListener("pointerdown", (event) => {
      this.#canvas.setPointerCapture(event.pointerId);
      this.#mark.hidden = true;
      this.#isDown = false;
      this.#pen = this.#place(event);
      this.#lineTo(this.#pen);
    });
    this.#canvas.addEventListener("pointermove", (event) => {
      if (event.buttons !== 1) return;
      for (const each of event.getCoalescedEvents?.() ?? [event]) this.#lineTo(this.#place(each));
    });
    this.#canvas.addEventListener("keydown", (event) => this.#press(event));
    this.#canvas.addEventListener("keyup", ({ key }) => this.#keys.delete(key));
    this.#canvas.addEventListener("blur", () => {
      this.#keys.clear();
      this.#mark.hidden = true;
    });
    this.#canvas.addEventListener("focus", () => {
      if (this.#canvas.matches(":focus-visible")) this.#showPen();
    });
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
    this.#isDown = false;
    this.#state.textContent = "";
    this.#pen = { x: this.#canvas.width / 2, y: this.#canvas.height / 2 };
    if (!this.#mark.hidden) this.#showPen();
  }

  #lineTo(place: Place): void {
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

  #place({ clientX, clientY }: MouseEvent): Place {
    const { left, top, width, height } = this.#canvas.getBoundingClientRect();
    const { width: columns, height: rows } = this.#canvas;
    return { x: ((clientX - left) / width) * columns, y: ((clientY - top) / height) * rows };
  }

  #press(event: KeyboardEvent): void {
    if (event.key === " ") {
      event.preventDefault();
      if (!event.repeat) this.#putDown(!this.#isDown);
    } else if (directions[event.key]) {
      event.preventDefault();
      this.#keys.add(event.key);
      this.#move();
    }
  }

  /** Puts the pen down, which draws a dot, or lifts it. */
  #putDown(isDown: boolean): void {
    this.#isDown = isDown;
    if (isDown) this.#lineTo(this.#pen);
    this.#state.textContent = isDown ? "Pen down" : "Pen up";
    this.#showPen();
  }

  /** Moves the pen a step in the direction of the keys that are held, and draws where it is down. */
  #move(): void {
    const within = (value: number, most: number) => Math.max(0, Math.min(most, value));
    let { x, y } = this.#pen;
    for (const key of this.#keys) {
      const [right = 0, down = 0] = directions[key] ?? [];
      x = within(x + STEP * right, this.#canvas.width);
      y = within(y + STEP * down, this.#canvas.height);
    }
    if (this.#isDown) this.#lineTo({ x, y });
    else this.#pen = { x, y };
    this.#showPen();
  }

  #showPen(): void {
    const { width, height } = this.#canvas;
    this.#mark.hidden = false;
    this.#mark.classList.toggle("down", this.#isDown);
    this.#mark.style.left = `${(100 * this.#pen.x) / width}%`;
    this.#mark.style.top = `${(100 * this.#pen.y) / height}%`;
  }

  #context(): CanvasRenderingContext2D {
    const context = this.#canvas.getContext("2d");
    if (!context) throw new Error("the canvas of the drawing has no 2D context");
    return context;
  }
}
