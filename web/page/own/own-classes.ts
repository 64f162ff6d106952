import { UserError } from "../../../graph-builder/errors.ts";
import { Kept } from "../../storage.ts";
import { freeName } from "./class-names.ts";
import type { NewPicture } from "./new-picture.ts";
import { PictureStore } from "./picture-store.ts";

export const [FEWEST_CLASSES, MOST_CLASSES] = [2, 10];
/** An archive of them stays below the limits of a .zip. */
const MOST_PICTURES = 50_000;

/** One of one's own classes. */
export interface OwnClass {
  readonly id: number;
  readonly name: string;
  /** The ids of its pictures, in the order in which they were added. */
  readonly pictures: readonly number[];
}

/** The classes as the browser keeps them; the pictures are in a store of their own. */
interface KeptClasses {
  readonly classes: readonly Pick<OwnClass, "id" | "name">[];
  /** Above the id of every class that there ever was: no id is given twice. */
  readonly nextId?: number | undefined;
}

const kept = new Kept<KeptClasses>("own-classes-1");

/** One's own classes and their pictures, which the browser keeps. */
export class OwnClasses {
  readonly store: PictureStore;
  readonly #onChange: () => void;
  #classes: readonly OwnClass[];
  #nextId: number;
  #life = new AbortController();

  private constructor(
    store: PictureStore,
    classes: readonly OwnClass[],
    nextId: number,
    onChange: () => void,
  ) {
    [this.store, this.#classes, this.#nextId, this.#onChange] = [store, classes, nextId, onChange];
  }

  /**
   * The classes of before a reload, or two empty ones. `onChange` is told of every change. Throws UserError
   * where the browser keeps nothing.
   */
  static async open(onChange: () => void): Promise<OwnClasses> {
    const store = await PictureStore.open();
    const { classes: known, nextId = above(known) }: KeptClasses = (await kept.get()) ?? {
      classes: emptyClasses(1),
    };
    const classes: OwnClass[] = [];
    for (const each of known) classes.push({ ...each, pictures: await store.idsOf(each.id) });
    return new OwnClasses(store, classes, nextId, onChange);
  }

  /** Aborted once everything is forgotten that was there when it was read. */
  get life(): AbortSignal {
    return this.#life.signal;
  }

  /** Runs a task. Where everything is forgotten meanwhile, its errors count for nothing. */
  async unlessForgotten(task: (life: AbortSignal) => Promise<void>): Promise<void> {
    const { life } = this;
    try {
      await task(life);
    } catch (error) {
      if (!life.aborted) throw error;
    }
  }

  get all(): readonly OwnClass[] {
    return this.#classes;
  }

  get names(): string[] {
    return this.#classes.map(({ name }) => name);
  }

  get pictureCount(): number {
    return this.#classes.reduce((sum, { pictures }) => sum + pictures.length, 0);
  }

  /** Whether a class of this id is there: a removed one never comes back. */
  has(id: number): boolean {
    return this.#classes.some((each) => each.id === id);
  }

  /** Throws UserError for an id that no class has. */
  classOf(id: number): OwnClass {
    const found = this.#classes.find((each) => each.id === id);
    if (found) return found;
    throw new UserError("The class was removed meanwhile.", { code: "label-invalid" });
  }

  /** Adds a class, with a name of its own where none is given. Throws UserError where there are ten. */
  async addClass(name = freeName(this.names)): Promise<OwnClass> {
    if (this.#classes.length >= MOST_CLASSES)
      throw new UserError(`There are at most ${MOST_CLASSES} classes.`, { code: "setting-invalid" });
    const added = { id: this.#nextId++, name, pictures: [] };
    await this.#set([...this.#classes, added]);
    return added;
  }

  /** The class of a name, in any case. Throws UserError where there is none. */
  named(name: string): OwnClass {
    const found = this.#classes.find((each) => isSame(each.name, name));
    if (found) return found;
    throw new UserError(`There is no class ${name}.`, { code: "label-invalid" });
  }

  /**
   * Adds the classes of these names that are missing. They take the places of classes without pictures, such
   * as the two that the page starts with.
   */
  async makeRoomFor(names: readonly string[]): Promise<void> {
    const isWanted = (each: OwnClass) => names.some((name) => isSame(each.name, name));
    const classes = this.#classes.filter((each) => each.pictures.length > 0 || isWanted(each));
    for (const name of names)
      if (!classes.some((each) => isSame(each.name, name)))
        classes.push({ id: this.#nextId++, name, pictures: [] });
    await this.#set(classes);
    while (this.#classes.length < FEWEST_CLASSES) await this.addClass();
  }

  rename(id: number, name: string): Promise<void> {
    return this.#set(this.#classes.map((each) => (each.id === id ? { ...each, name } : each)));
  }

  /** Removes a class with its pictures. An empty class takes its place where fewer than two would be left. */
  async removeClass(id: number): Promise<void> {
    const { pictures } = this.classOf(id);
    this.#classes = this.#classes.filter((each) => each.id !== id);
    await this.store.remove(pictures);
    await this.#set(this.#classes);
    while (this.#classes.length < FEWEST_CLASSES) await this.addClass();
  }

  /**
   * Adds pictures to a class. Throws UserError where they do not fit, and where the class is removed
   * meanwhile.
   */
  async addPictures(id: number, pictures: readonly NewPicture[]): Promise<void> {
    if (this.pictureCount + pictures.length > MOST_PICTURES)
      throw new UserError(`The page takes at most ${MOST_PICTURES} pictures: use shake train for more.`, {
        code: "data-invalid",
      });
    this.classOf(id);
    const added = await this.store.add(id, pictures);
    if (!this.has(id)) await this.store.remove(added);
    this.classOf(id);
    this.#setPictures(id, (before) => [...before, ...added]);
    // a reload finds the classes of its pictures
    await this.#keep();
  }

  /** Removes a picture. Returns it, so that it can be put back; undefined where it was removed before. */
  async removePicture(id: number, picture: number): Promise<NewPicture | undefined> {
    const removed = await this.store.take(picture);
    this.#setPictures(id, (before) => before.filter((each) => each !== picture));
    return removed;
  }

  /**
   * Forgets all classes and pictures. What still works on them finds `life` aborted and their classes
   * removed, so it writes nothing back.
   */
  async clear(): Promise<void> {
    this.#life.abort();
    this.#life = new AbortController();
    this.#classes = emptyClasses(this.#nextId).map((each) => ({ ...each, pictures: [] }));
    this.#nextId = above(this.#classes);
    const forgetting = [this.store.clear(), kept.delete().then(() => this.#keep())];
    await Promise.all(forgetting).finally(() => this.#onChange());
  }

  #setPictures(id: number, change: (before: readonly number[]) => readonly number[]): void {
    this.#classes = this.#classes.map((each) =>
      each.id === id ? { ...each, pictures: change(each.pictures) } : each,
    );
    this.#onChange();
  }

  /** The page shows a change once a reload would not undo it. */
  async #set(classes: readonly OwnClass[]): Promise<void> {
    this.#classes = classes;
    await this.#keep();
    this.#onChange();
  }

  #keep(): Promise<boolean> {
    const classes = this.#classes.map(({ id, name }) => ({ id, name }));
    return kept.put({ classes, nextId: this.#nextId });
  }
}

/** Names of folders that differ in case alone are one folder on some systems. */
function isSame(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function emptyClasses(firstId: number): KeptClasses["classes"] {
  return [
    { id: firstId, name: "Class 1" },
    { id: firstId + 1, name: "Class 2" },
  ];
}

/** The first id above those of the classes. */
function above(classes: readonly { readonly id: number }[]): number {
  return 1 + Math.max(0, ...classes.map(({ id }) => id));
}
