import { find } from "./dom.ts";

/** What the page does with a file. */
export interface FileTaker {
  readonly takePicture: (file: Blob, name: string) => void;
  readonly takeModel: (file: File) => void;
}

/**
 * Listens for files that are chosen, dropped or pasted. A file that is no picture is opened as a model.
 */
export function connectFiles({ takePicture, takeModel }: FileTaker): void {
  const take = (files: Iterable<File>) => {
    for (const file of files) {
      if (isPicture(file)) takePicture(file, file.name);
      else takeModel(file);
    }
  };
  connectChooser("choose-picture", "picture-file", (file) => takePicture(file, file.name));
  connectChooser("choose-model", "model-file", takeModel);
  connectChooser("no-model-open", "model-file", takeModel);
  connectDrop(take);
  addEventListener("paste", ({ clipboardData, defaultPrevented }) => {
    if (!defaultPrevented) take(clipboardData?.files ?? []);
  });
}

/** Some systems know no type for a picture, so the end of its name counts too. */
export function isPicture({ type, name }: File): boolean {
  return type.startsWith("image/") || /\.(jpe?g|png|webp|avif|gif|bmp|svg|heic|heif|tiff?|jxl)$/i.test(name);
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

function connectDrop(take: (files: Iterable<File>) => void): void {
  const hint = find("drop-hint", HTMLDivElement);
  // a text that is dropped into a field is the field's
  const hasFiles = ({ dataTransfer }: DragEvent) => dataTransfer?.types.includes("Files") === true;
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    hint.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) hint.hidden = true;
  });
  addEventListener("drop", (event) => {
    hint.hidden = true;
    // a tab that takes pictures itself comes first
    if (event.defaultPrevented || !hasFiles(event)) return;
    event.preventDefault();
    take(event.dataTransfer?.files ?? []);
  });
}
