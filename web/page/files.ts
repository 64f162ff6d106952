import { find } from "./dom.ts";

/** What the page does with a file. */
export interface FileTaker {
  readonly takePicture: (file: Blob, name: string) => void;
  readonly takeModel: (file: File) => void;
}

/**
 * Listens for files that are chosen, dropped or pasted. A file whose type is not an image is opened as a
 * model.
 */
export function connectFiles({ takePicture, takeModel }: FileTaker): void {
  const take = (file: File) => {
    if (file.type.startsWith("image/")) takePicture(file, file.name);
    else takeModel(file);
  };
  connectChooser("choose-picture", "picture-file", (file) => takePicture(file, file.name));
  connectChooser("choose-model", "model-file", takeModel);
  connectDrop(take);
  addEventListener("paste", ({ clipboardData }) => {
    const file = clipboardData?.files[0];
    if (file) take(file);
  });
}

function connectChooser(buttonId: string, inputId: string, take: (file: File) => void): void {
  const input = find(inputId, HTMLInputElement);
  find(buttonId, HTMLButtonElement).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file) take(file);
    // lets the user choose the same file again
    input.value = "";
  });
}

function connectDrop(take: (file: File) => void): void {
  const hint = find("drop-hint", HTMLDivElement);
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    hint.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) hint.hidden = true;
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    hint.hidden = true;
    const file = event.dataTransfer?.files[0];
    if (file) take(file);
  });
}
