import { ask } from "../ask.ts";
import { find, make } from "../dom.ts";
import type { Messages } from "../messages.ts";
import { Picture, thumbnail } from "../pictures.ts";
import { nameProblem, tidyName } from "./class-names.ts";
import { connectHold } from "./hold.ts";
import type { NewPicture } from "./new-picture.ts";
import type { OwnClass, OwnClasses } from "./own-classes.ts";

/** So many pictures of a class are shown at a time, the newest first. */
const SHOWN = 24;

/** What the buttons of a card ask for. */
export interface CardActions {
  readonly record: (classId: number) => void;
  readonly stopRecording: () => void;
  readonly addFiles: (classId: number, files: readonly File[]) => void;
  readonly draw: (classId: number) => void;
}

/** The card of a class: its name, its buttons, and some of its pictures at a time. */
export class ClassCard {
  readonly item: HTMLLIElement;
  readonly #classes: OwnClasses;
  readonly #messages: Messages;
  readonly #id: number;
  readonly #name: HTMLInputElement;
  #shown: readonly number[] = [];
  #page = 0;
  #drawing = 0;
  #removed: NewPicture | undefined;

  constructor(id: number, classes: OwnClasses, actions: CardActions, messages: Messages) {
    const content = document.importNode(find("own-class", HTMLTemplateElement).content, true);
    const item = content.querySelector("li");
    const name = item?.querySelector<HTMLInputElement>("input[type=text]");
    const files = item?.querySelector<HTMLInputElement>("input[type=file]");
    if (!item || !name || !files) throw new Error("the template of a class lacks its inputs");
    [this.item, this.#name, this.#id, this.#classes, this.#messages] = [item, name, id, classes, messages];
    item.dataset["classId"] = String(id);
    connectHold(this.#button("record"), () => actions.record(id), actions.stopRecording);
    this.#button("files").addEventListener("click", () => files.click());
    files.addEventListener("change", () => {
      actions.addFiles(id, [...(files.files ?? [])]);
      files.value = "";
    });
    this.#button("draw").addEventListener("click", () => actions.draw(id));
    this.#button("remove").addEventListener("click", () => void messages.guard(() => this.#remove()));
    name.addEventListener("change", () => void messages.guard(() => this.#rename()));
    name.addEventListener("input", () => this.#showProblem());
    this.#button("undo").addEventListener("click", () => void messages.guard(() => this.#putBack()));
    this.#button("newer").addEventListener("click", () => this.#turn(-1));
    this.#button("older").addEventListener("click", () => this.#turn(1));
  }

  focusName(): void {
    this.#name.select();
  }

  /** Shows the class as it is now. */
  update({ name, pictures }: OwnClass): void {
    if (document.activeElement !== this.#name) this.#name.value = name;
    for (const [kind, label] of Object.entries({
      record: `Hold to record pictures of ${name}`,
      files: `Add pictures of ${name}`,
      draw: `Draw a picture of ${name}`,
      remove: `Remove the class ${name}`,
      undo: `Put the picture back into ${name}`,
    }))
      this.#button(kind).ariaLabel = label;
    this.#part("count").textContent = countOf(pictures.length);
    if (pictures === this.#shown) return;
    if (pictures.length > this.#shown.length) this.#page = 0;
    this.#shown = pictures;
    void this.#messages.inBackground(() => this.#showPictures());
  }

  async #rename(): Promise<void> {
    const name = tidyName(this.#name.value);
    if (this.#showProblem()) {
      // the class keeps the name that it had
      this.#name.value = this.#classes.classOf(this.#id).name;
      return;
    }
    this.#name.value = name;
    await this.#classes.rename(this.#id, name);
  }

  /** Says why the text is no name of a class. Returns whether it does. */
  #showProblem(): boolean {
    const others = this.#classes.all.filter(({ id }) => id !== this.#id).map(({ name }) => name);
    const problem = nameProblem(tidyName(this.#name.value), others);
    const note = this.#part("problem");
    note.hidden = problem === undefined;
    note.textContent = problem ?? "";
    this.#name.ariaInvalid = String(problem !== undefined);
    return problem !== undefined;
  }

  async #remove(): Promise<void> {
    const { name, pictures } = this.#classes.classOf(this.#id);
    const question = `${name} has ${countOf(pictures.length).toLowerCase()}. They are removed with it.`;
    if (pictures.length > 0 && !(await ask(question, "Remove the class"))) return;
    await this.#classes.removeClass(this.#id);
  }

  #turn(by: number): void {
    this.#page += by;
    void this.#messages.guard(() => this.#showPictures());
  }

  async #showPictures(): Promise<void> {
    const drawing = ++this.#drawing;
    const pages = Math.max(1, Math.ceil(this.#shown.length / SHOWN));
    this.#page = Math.max(0, Math.min(pages - 1, this.#page));
    const newest = this.#shown.toReversed();
    const ids = newest.slice(this.#page * SHOWN, (this.#page + 1) * SHOWN);
    const found = await this.#classes.store.pixels(ids);
    // more pictures may have come meanwhile
    if (drawing !== this.#drawing) return;
    const first = this.#shown.length - this.#page * SHOWN;
    const items = ids.flatMap((id, i) => {
      const pixels = found.get(id);
      return pixels ? [this.#thumbnail(id, pixels, first - i)] : [];
    });
    const list = this.#part("thumbnails");
    const focused = [...list.querySelectorAll("button")].indexOf(focusedButton());
    list.replaceChildren(...items);
    if (focused >= 0) list.querySelectorAll("button")[Math.min(focused, items.length - 1)]?.focus();
    this.#part("pages").hidden = pages === 1;
    this.#part("page").textContent = `${this.#page + 1} of ${pages}`;
    this.#button("newer").disabled = this.#page === 0;
    this.#button("older").disabled = this.#page === pages - 1;
  }

  #thumbnail(id: number, pixels: Uint8Array, number: number): HTMLElement {
    const remove = make("button", "", thumbnail(Picture.ofPixels("", pixels)));
    remove.type = "button";
    remove.ariaLabel = `Remove picture ${number}`;
    remove.title = "Remove it";
    remove.addEventListener("click", () => {
      void this.#messages.guard(() => this.#removePicture(id, number));
    });
    return make("li", "", remove);
  }

  async #removePicture(id: number, number: number): Promise<void> {
    const { name } = this.#classes.classOf(this.#id);
    const removed = await this.#classes.removePicture(this.#id, id);
    // a second click on it finds it removed
    if (!removed) return;
    this.#removed = removed;
    this.#button("undo").hidden = false;
    this.#messages.say(`Picture ${number} of ${name} was removed.`);
  }

  async #putBack(): Promise<void> {
    const picture = this.#removed;
    if (!picture) return;
    this.#removed = undefined;
    try {
      await this.#classes.addPictures(this.#id, [picture]);
    } catch (error) {
      this.#removed ??= picture;
      throw error;
    } finally {
      this.#button("undo").hidden = this.#removed === undefined;
    }
  }

  #button(kind: string): HTMLButtonElement {
    const button = this.#part(kind);
    if (button instanceof HTMLButtonElement) return button;
    throw new Error(`${kind} of a class is no button`);
  }

  #part(kind: string): HTMLElement {
    const part = this.item.querySelector<HTMLElement>(`.own-${kind}`);
    if (part) return part;
    throw new Error(`the template of a class has no .own-${kind}`);
  }
}

function focusedButton(): HTMLButtonElement {
  return document.activeElement instanceof HTMLButtonElement
    ? document.activeElement
    : document.createElement("button");
}

/** A number of pictures in words. */
export function countOf(pictures: number): string {
  if (pictures === 0) return "No pictures yet";
  return pictures === 1 ? "1 picture" : `${pictures.toLocaleString("en-US")} pictures`;
}
