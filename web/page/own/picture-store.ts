import { UserError } from "../../../graph-builder/errors.ts";
import { resultOf } from "../../storage.ts";
import type { NewPicture } from "./new-picture.ts";

const DATABASE = "shakenet-pictures";
const [INPUTS, FILES, FEATURES] = ["inputs", "files", "features"] as const;
const BY_CLASS = "class";
const BY_NETWORK = "network";

/** What the network sees of a picture. */
interface Input {
  readonly id: number;
  readonly classId: number;
  readonly pixels: Uint8Array;
}

/** A picture as a file. */
export interface PictureFile {
  readonly id: number;
  readonly classId: number;
  readonly png: Blob;
  readonly crc: number;
}

/** What a network computed of a picture. `network` is the digest of that network. */
export interface Features {
  readonly id: number;
  readonly network: string;
  readonly values: Float32Array;
}

/**
 * The pictures of one's own classes in IndexedDB. Files, pixels and features have stores of their own, so
 * that a training never reads a file.
 */
export class PictureStore {
  readonly #database: IDBDatabase;

  private constructor(database: IDBDatabase) {
    this.#database = database;
  }

  /** Opens the store. Throws UserError where the browser keeps nothing for the page. */
  static async open(): Promise<PictureStore> {
    try {
      const opening = indexedDB.open(DATABASE, 1);
      opening.onupgradeneeded = () => {
        const database = opening.result;
        const inputs = database.createObjectStore(INPUTS, { keyPath: "id", autoIncrement: true });
        inputs.createIndex(BY_CLASS, "classId");
        database.createObjectStore(FILES, { keyPath: "id" });
        database.createObjectStore(FEATURES, { keyPath: "id" }).createIndex(BY_NETWORK, "network");
      };
      return new PictureStore(await resultOf(opening));
    } catch (cause) {
      throw new UserError(
        "This browser keeps nothing for this page, so it cannot collect pictures: allow it to, or leave the private window.",
        { code: "browser-unsupported", cause },
      );
    }
  }

  /**
   * Adds pictures of a class at once, or none of them. Returns their ids. Throws UserError where they do not
   * fit.
   */
  async add(classId: number, pictures: readonly NewPicture[]): Promise<number[]> {
    const ids: number[] = [];
    await this.#write([INPUTS, FILES], (store) => {
      for (const { pixels, png, crc } of pictures) {
        const adding = store(INPUTS).add({ classId, pixels });
        adding.onsuccess = () => {
          const id = Number(adding.result);
          ids.push(id);
          store(FILES).add({ id, classId, png, crc } satisfies PictureFile);
        };
      }
    });
    return ids;
  }

  /** The ids of the pictures of a class, in the order in which they were added. */
  async idsOf(classId: number): Promise<number[]> {
    return (await resultOf(this.#store(INPUTS).index(BY_CLASS).getAllKeys(classId))).map(Number);
  }

  /** Raw pixels uint8 [3, 32, 32] of pictures, by their ids. One that was removed is left out. */
  pixels(ids: readonly number[]): Promise<ReadonlyMap<number, Uint8Array>> {
    return this.#all(INPUTS, ids, ({ pixels }: Input) => pixels);
  }

  /** The files of pictures, by their ids. One that was removed is left out. */
  files(ids: readonly number[]): Promise<ReadonlyMap<number, PictureFile>> {
    return this.#all(FILES, ids, (file: PictureFile) => file);
  }

  /** The ids of the pictures that a network has computed features of. */
  async idsWithFeatures(network: string): Promise<Set<number>> {
    const keys = await resultOf(this.#store(FEATURES).index(BY_NETWORK).getAllKeys(network));
    return new Set(keys.map(Number));
  }

  /** What a network computed of pictures, by their ids. A picture without is left out. */
  features(ids: readonly number[]): Promise<ReadonlyMap<number, Float32Array>> {
    return this.#all(FEATURES, ids, ({ values }: Features) => values);
  }

  /** Keeps features, except those of pictures that were removed meanwhile. */
  putFeatures(features: readonly Features[]): Promise<void> {
    return this.#write([INPUTS, FEATURES], (store) => {
      for (const each of features) {
        const finding = store(INPUTS).getKey(each.id);
        finding.onsuccess = () => {
          if (finding.result !== undefined) store(FEATURES).put(each);
        };
      }
    });
  }

  /** Removes a picture and returns it, in one transaction; undefined where it was removed before. */
  async take(id: number): Promise<NewPicture | undefined> {
    let taken: NewPicture | undefined;
    await this.#write([INPUTS, FILES, FEATURES], (store) => {
      const readingInput: IDBRequest<Input | undefined> = store(INPUTS).get(id);
      const readingFile: IDBRequest<PictureFile | undefined> = store(FILES).get(id);
      readingFile.onsuccess = () => {
        const [input, file] = [readingInput.result, readingFile.result];
        if (input && file) taken = { png: file.png, crc: file.crc, pixels: input.pixels };
      };
      for (const name of [INPUTS, FILES, FEATURES] as const) store(name).delete(id);
    });
    return taken;
  }

  remove(ids: readonly number[]): Promise<void> {
    return this.#write([INPUTS, FILES, FEATURES], (store) => {
      for (const id of ids) for (const name of [INPUTS, FILES, FEATURES] as const) store(name).delete(id);
    });
  }

  clear(): Promise<void> {
    return this.#write([INPUTS, FILES, FEATURES], (store) => {
      for (const name of [INPUTS, FILES, FEATURES] as const) store(name).clear();
    });
  }

  #store(name: string): IDBObjectStore {
    return this.#database.transaction(name).objectStore(name);
  }

  async #all<T, V>(
    name: string,
    ids: readonly number[],
    take: (found: T) => V,
  ): Promise<ReadonlyMap<number, V>> {
    const store = this.#store(name);
    const values = new Map<number, V>();
    const read = async (id: number) => {
      const found = await resultOf(store.get(id) satisfies IDBRequest<T | undefined>);
      if (found !== undefined) values.set(id, take(found));
    };
    await Promise.all(ids.map(read));
    return values;
  }

  /** Runs a transaction. Its changes are all made or none of them. */
  async #write(
    names: readonly string[],
    task: (store: (name: string) => IDBObjectStore) => void,
  ): Promise<void> {
    const transaction = this.#database.transaction(names, "readwrite");
    task((name) => transaction.objectStore(name));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(refusal(transaction.error));
    });
  }
}

function refusal(error: DOMException | null): Error {
  if (error?.name === "QuotaExceededError")
    return new UserError(
      "The browser has no room for more pictures: remove some, or free room on the disk.",
      {
        code: "file-unwritable",
      },
    );
  return new UserError(`The browser could not keep the pictures: ${error?.message ?? "no reason given"}.`, {
    code: "file-unwritable",
  });
}
