import { UserError } from "../../../graph-builder/errors.ts";
import { find } from "../dom.ts";
import type { Messages } from "../messages.ts";
import { countOf } from "./class-card.ts";
import { nameProblem, tidyName } from "./class-names.ts";
import { type PathFile, picturesByClass } from "./folders.ts";
import { type NewPicture, pictureIn } from "./new-picture.ts";
import { MOST_CLASSES, type OwnClasses } from "./own-classes.ts";

/** Pictures that are decoded side by side, and kept together. */
const BATCH = 16;

/** The files for a class. */
interface ClassFiles {
  readonly classId: number;
  readonly files: readonly File[];
}

/** What has become of the files of a reading. */
interface Reading {
  added: number;
  /** The names of files that are no pictures. */
  readonly broken: string[];
  /** The number of files whose class was removed. */
  removed: number;
}

/** Reads files into classes, a few at a time, and says how far it is and which of them are no pictures. */
export class PictureReader {
  readonly #classes: OwnClasses;
  readonly #messages: Messages;
  readonly #progress = find("own-reading", HTMLProgressElement);
  readonly #status = find("own-status", HTMLParagraphElement);
  #last: Promise<unknown> = Promise.resolve();

  constructor(classes: OwnClasses, messages: Messages) {
    [this.#classes, this.#messages] = [classes, messages];
  }

  /** Reads files into a class. Rejects with UserError where they do not fit. */
  readInto(classId: number, files: readonly File[]): Promise<void> {
    return this.#afterOthers((life) => this.#read([{ classId, files }], life));
  }

  /** Forgets what was said of the last files. */
  clear(): void {
    this.#progress.hidden = true;
    this.#status.textContent = "";
  }

  /**
   * Reads folders: each becomes a class, or fills the class of its name. Rejects with UserError where they
   * hold no pictures, or more classes than there may be.
   */
  readFolders(files: readonly PathFile[]): Promise<void> {
    return this.#afterOthers(async (life) => {
      const byClass = picturesByClass(files);
      if (byClass.size === 0)
        throw new UserError("The folder has no pictures: give a folder of folders, one for each class.", {
          code: "data-missing",
        });
      const names = [...byClass.keys()].map(folderName);
      this.#expectRoom(names);
      await this.#classes.makeRoomFor(names);
      const plan = [...byClass.values()].map((own, i) => ({
        classId: this.#classes.named(names[i] ?? "").id,
        files: own,
      }));
      await this.#read(plan, life);
    });
  }

  #expectRoom(names: readonly string[]): void {
    const filled = this.#classes.all.filter(({ pictures }) => pictures.length > 0).map(({ name }) => name);
    const all = new Set([...filled, ...names].map((name) => name.toLowerCase()));
    if (all.size > MOST_CLASSES)
      throw new UserError(
        `With these folders there would be ${all.size} classes, and the page takes ${MOST_CLASSES}: use shake train for more.`,
        { code: "data-invalid" },
      );
    for (const name of names) {
      const problem = nameProblem(name, []);
      if (problem) throw new UserError(`${problem} It is the name of a folder.`, { code: "data-invalid" });
    }
  }

  /** Runs a task after those before it, unless everything is forgotten before its turn. */
  #afterOthers(task: (life: AbortSignal) => Promise<void>): Promise<void> {
    const before = this.#last;
    const run = this.#classes.unlessForgotten(async (life) => {
      await before;
      life.throwIfAborted();
      await task(life);
    });
    this.#last = run.catch(() => undefined);
    return run;
  }

  async #read(plan: readonly ClassFiles[], life: AbortSignal): Promise<void> {
    const total = plan.reduce((sum, { files }) => sum + files.length, 0);
    const result: Reading = { added: 0, broken: [], removed: 0 };
    let done = 0;
    try {
      for (const { classId, files } of plan)
        for (let first = 0; first < files.length; first += BATCH) {
          const batch = files.slice(first, first + BATCH);
          await this.#readBatch(classId, batch, result);
          life.throwIfAborted();
          done += batch.length;
          this.#showProgress(done, total);
        }
    } finally {
      if (!life.aborted) {
        this.#progress.hidden = true;
        this.#status.textContent = summary(result);
        this.#messages.say(this.#status.textContent);
      }
    }
  }

  /** Reads files side by side into a class. Those of a class that was removed are left out. */
  async #readBatch(classId: number, files: readonly File[], result: Reading): Promise<void> {
    const read = this.#classes.has(classId) ? await Promise.allSettled(files.map(pictureIn)) : [];
    if (!(await this.#isAdded(classId, read.flatMap(pictureOf)))) {
      result.removed += files.length;
      return;
    }
    for (const [i, { status }] of read.entries())
      if (status === "rejected") result.broken.push(files[i]?.name ?? "");
      else result.added += 1;
  }

  /** Adds pictures to a class. Returns whether it was there. */
  async #isAdded(classId: number, pictures: readonly NewPicture[]): Promise<boolean> {
    try {
      await this.#classes.addPictures(classId, pictures);
      return true;
    } catch (error) {
      if (this.#classes.has(classId)) throw error;
      return false;
    }
  }

  #showProgress(done: number, total: number): void {
    this.#progress.hidden = done === total;
    this.#progress.value = done / total;
    this.#status.textContent = `${done.toLocaleString("en-US")} of ${total.toLocaleString("en-US")} pictures read.`;
  }
}

/** The name of the class that a folder becomes. */
function folderName(folder: string): string {
  return tidyName(tidyName(folder).slice(0, 40));
}

function pictureOf(result: PromiseSettledResult<NewPicture>): NewPicture[] {
  return result.status === "fulfilled" ? [result.value] : [];
}

const NAMED = 3;

function summary({ added, broken, removed }: Reading): string {
  const left = removed === 0 ? "" : ` ${countOf(removed)} of a class that was removed meanwhile left out.`;
  const text = `${added === 0 ? "No picture was added." : `${countOf(added)} added.`}${left}`;
  if (broken.length === 0) return text;
  const named = broken.slice(0, NAMED).join(", ");
  const more = broken.length > NAMED ? ` and ${broken.length - NAMED} others` : "";
  return `${text} This browser cannot read ${named}${more}.`;
}
