import { find } from "./dom.ts";
import { sentence } from "./errors.ts";

/** The page's one status line and its errors. */
export class Messages {
  readonly #status = find("status", HTMLParagraphElement);
  readonly #download = find("download", HTMLProgressElement);
  readonly #error = find("error", HTMLDivElement);

  constructor() {
    this.#error.querySelector("button")?.addEventListener("click", () => this.clearError());
  }

  say(text: string): void {
    if (this.#status.textContent !== text) this.#status.textContent = text;
  }

  downloading(received: number, total: number): void {
    const isDone = received >= total;
    this.#download.hidden = isDone;
    this.#download.value = received / total;
    const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
    // a screen reader hears the beginning and the end, the bar shows the rest
    this.say(isDone ? "Starting ONNX Runtime" : `Loading ONNX Runtime (${megabytes(total)} MB)`);
  }

  /** Runs what a user asked for; what goes wrong becomes a sentence on the page. */
  async guard(task: () => Promise<void>): Promise<void> {
    try {
      await task();
      this.clearError();
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
