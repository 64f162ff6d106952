import { find } from "./dom.ts";
import { sentence } from "./errors.ts";

/** How long a value rests before it is said, in ms. */
const REST = 500;

/** The status line of the page, its progress bar and its error message. */
export class Messages {
  readonly #status = find("status", HTMLParagraphElement);
  readonly #download = find("download", HTMLProgressElement);
  readonly #error = find("error", HTMLDivElement);
  #rest: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.#error.querySelector("button")?.addEventListener("click", () => this.clearError());
  }

  /** Shows a text in the status line. */
  say(text: string): void {
    this.#set(text);
    this.#status.classList.remove("heard");
  }

  /** Says to screen readers alone what the page shows elsewhere. */
  announce(text: string): void {
    this.#set(text);
    this.#status.classList.add("heard");
  }

  /** Announces a text once no other one came for a while: not every position of a slider that moves. */
  announceAtRest(text: string): void {
    clearTimeout(this.#rest);
    this.#rest = setTimeout(() => this.announce(text), REST);
  }

  #set(text: string): void {
    clearTimeout(this.#rest);
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }

  downloading(received: number, total: number): void {
    const isDone = received >= total;
    this.#download.hidden = isDone;
    this.#download.value = received / total;
    const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
    // the text changes only at the start and at the end, because a screen reader reads every change
    this.say(isDone ? "Starting ONNX Runtime" : `Loading ONNX Runtime (${megabytes(total)} MB)`);
  }

  /** Runs a task that the user has asked for. Shows its error as a sentence, or takes the last error away. */
  guard(task: () => Promise<void>): Promise<void> {
    return this.inBackground(async () => {
      await task();
      this.clearError();
    });
  }

  /** Runs a task that the page begins itself. Shows its error too, and leaves that of another task. */
  async inBackground(task: () => Promise<void>): Promise<void> {
    try {
      await task();
    } catch (error) {
      this.fail(error);
    }
  }

  fail(error: unknown): void {
    const text = this.#error.querySelector("p");
    if (text) text.textContent = sentence(error);
    this.#error.hidden = false;
    this.#download.hidden = true;
  }

  clearError(): void {
    this.#error.hidden = true;
  }
}
