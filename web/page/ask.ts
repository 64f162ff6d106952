import { find } from "./dom.ts";

/** Asks a question before something is lost. Resolves to whether the user chose the button `yes`. */
export function ask(question: string, yes: string): Promise<boolean> {
  const dialog = find("ask", HTMLDialogElement);
  find("ask-question", HTMLElement).textContent = question;
  find("ask-yes", HTMLButtonElement).textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
