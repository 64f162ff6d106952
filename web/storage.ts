/** A value that the browser keeps across reloads, in IndexedDB. Both the page and its worker can use it. */
export class Kept<T> {
  readonly #key: string;

  /** The key names the value and the form of it: a value of another form has another key. */
  constructor(key: string) {
    this.#key = key;
  }

  /**
   * The value; undefined where there is none, and where the browser keeps nothing, as in a private window.
   */
  async get(): Promise<T | undefined> {
    try {
      return await inStore("readonly", (store): IDBRequest<T | undefined> => store.get(this.#key));
    } catch {
      return undefined;
    }
  }

  /** Keeps a value. Returns whether the browser could. */
  put(value: T): Promise<boolean> {
    return succeeds(inStore("readwrite", (store) => store.put(value, this.#key)));
  }

  /** Forgets the value. Returns whether the browser could. */
  delete(): Promise<boolean> {
    return succeeds(inStore("readwrite", (store) => store.delete(this.#key)));
  }
}

const DATABASE = "shakenet";
const STORE = "kept";

async function inStore<T>(
  mode: IDBTransactionMode,
  request: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const opening = indexedDB.open(DATABASE);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
  const database = await resultOf(opening);
  try {
    const transaction = database.transaction(STORE, mode);
    const finished = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
    // a disk that is full fails the transaction, behind a request that succeeded
    const [result] = await Promise.all([resultOf(request(transaction.objectStore(STORE))), finished]);
    return result;
  } finally {
    database.close();
  }
}

/** The result of a request of IndexedDB. */
export function resultOf<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function succeeds(task: Promise<unknown>): Promise<boolean> {
  return task.then(
    () => true,
    () => false,
  );
}
