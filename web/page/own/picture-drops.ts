import { isPicture } from "../files.ts";
import type { Messages } from "../messages.ts";
import { droppedFolders, type PathFile } from "./folders.ts";

/** What becomes of pictures that are dropped or pasted. */
export interface DropTaker {
  readonly toClass: (classId: number, files: readonly File[]) => Promise<void>;
  readonly folders: (files: readonly PathFile[]) => Promise<void>;
  readonly tryPicture: (file: File) => Promise<void>;
}

/**
 * Takes what is dropped or pasted while the tab is shown: folders fill classes, pictures on a class go into
 * it, and another picture is tried. Other files are left to the page, which opens models.
 */
export class PictureDrops {
  readonly #messages: Messages;
  readonly #taker: DropTaker;
  #connected: AbortController | undefined;

  constructor(messages: Messages, taker: DropTaker) {
    [this.#messages, this.#taker] = [messages, taker];
  }

  connect(): void {
    if (this.#connected) return;
    this.#connected = new AbortController();
    const options = { capture: true, signal: this.#connected.signal };
    addEventListener("drop", (event) => this.#drop(event), options);
    addEventListener("paste", (event) => this.#paste(event), options);
  }

  disconnect(): void {
    this.#connected?.abort();
    this.#connected = undefined;
  }

  #drop(event: DragEvent): void {
    const { dataTransfer, target } = event;
    if (!dataTransfer) return;
    const folders = droppedFolders(dataTransfer.items);
    const pictures = [...dataTransfer.files].filter(isPicture);
    if (!folders && pictures.length === 0) return;
    event.preventDefault();
    const id = classAt(target);
    void this.#messages.guard(async () => {
      if (folders && id === undefined) await this.#taker.folders(await folders);
      else if (folders && id !== undefined) await this.#taker.toClass(id, picturesIn(await folders));
      else await this.#take(id, pictures);
    });
  }

  #paste(event: ClipboardEvent): void {
    const pictures = [...(event.clipboardData?.files ?? [])].filter(isPicture);
    if (pictures.length === 0) return;
    event.preventDefault();
    void this.#messages.guard(() => this.#take(classAt(event.target), pictures));
  }

  async #take(id: number | undefined, pictures: readonly File[]): Promise<void> {
    if (id !== undefined) await this.#taker.toClass(id, pictures);
    else for (const picture of pictures.slice(-1)) await this.#taker.tryPicture(picture);
  }
}

function picturesIn(files: readonly PathFile[]): File[] {
  return files.map(({ file }) => file).filter(isPicture);
}

/** The class of the card that an event is on. */
function classAt(target: EventTarget | null): number | undefined {
  const card = target instanceof Element ? target.closest<HTMLElement>("[data-class-id]") : null;
  return card ? Number(card.dataset["classId"]) : undefined;
}
