import { createHash } from "node:crypto";
import { join } from "node:path";
import { errorCode, readFileBytes } from "../../../artifacts/read-file.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import type { CompileCache, Ingredients } from "../../session/compile-cache.ts";
import { cacheFolder, shrinkCache, touch } from "../cache-folder.ts";
import { makeFolder, writeFileAtomic } from "../files.ts";
import { removeTemporaryFiles } from "../temporary.ts";
import { compilerDigest } from "./compiler-digest.ts";
import { decodePlain, encodePlain } from "./plain-data.ts";

/** The most bytes of a model cache, and of one of its entries: a larger result is not kept. */
const [LIMIT, LARGEST] = [256e6, 64e6];

/** The bytes of a SHA-256 at the start of an entry. */
const HASH = 32;

/**
 * Compiled models in files of a folder, each under the SHA-256 of what it depends on: the ingredients, and
 * the program files of the compiler. A file begins with the SHA-256 of its name and its content; one that
 * does not fit is compiled and written again. A folder that cannot be read or written is as good as an empty
 * one. The files have 256 MB at most; those that were not used for the longest time are removed first.
 */
export class ModelCache implements CompileCache {
  readonly folder: string;

  /** `folder` is in the cache of this user where it is left out. */
  constructor(folder = join(cacheFolder(), "compiled")) {
    this.folder = folder;
  }

  async remember<T>(ingredients: Ingredients, compile: () => T): Promise<T> {
    const compiler = compilerDigest();
    if (compiler === undefined) return compile();
    await removeTemporaryFiles(this.folder);
    const key = keyOf(compiler, ingredients);
    const path = join(this.folder, `${key}.model`);
    const found = await readEntry(path, key);
    if (found) {
      await touch(path);
      return decodePlain(found);
    }
    const made = compile();
    await this.#keep(path, key, encodePlain(made));
    return made;
  }

  async #keep(path: string, key: string, content: Uint8Array | undefined): Promise<void> {
    if (!content || content.length > LARGEST) return;
    try {
      await makeFolder(this.folder);
      await writeFileAtomic(path, Buffer.concat([hashOf(key, content), content]));
      await shrinkCache(this.folder, LIMIT, path);
    } catch (error) {
      if (!(error instanceof UserError) && errorCode(error) === undefined) throw error;
    }
  }
}

function keyOf(compiler: string, { text, files }: Ingredients): string {
  const hash = createHash("sha256");
  for (const part of [compiler, text, ...files]) {
    const bytes = typeof part === "string" ? Buffer.from(part) : part;
    hash.update(`${bytes?.length ?? "none"}\n`).update(bytes ?? "");
  }
  return hash.digest("hex");
}

/** The content of an entry; undefined where there is none, and where it is not what was written. */
async function readEntry(path: string, key: string): Promise<Uint8Array | undefined> {
  const bytes = await readFileBytes(path).catch(() => undefined);
  if (!bytes || bytes.length < HASH) return undefined;
  const content = bytes.subarray(HASH);
  return hashOf(key, content).equals(bytes.subarray(0, HASH)) ? content : undefined;
}

function hashOf(key: string, content: Uint8Array): Buffer {
  return createHash("sha256").update(key).update(content).digest();
}
