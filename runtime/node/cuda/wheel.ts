import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { refusal } from "../../../artifacts/read-file.ts";
import { UserError } from "../../../graph-builder/errors.ts";
import { readZipEntry, type ZipEntry, zipEntries } from "../zip.ts";

/** An opened Python wheel, which is a .zip; `close` it when done. */
export class Wheel {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #entries: readonly ZipEntry[];
  #checksums: ReadonlyMap<string, string> | undefined;

  private constructor(file: FileHandle, path: string, entries: readonly ZipEntry[]) {
    this.#file = file;
    this.#path = path;
    this.#entries = entries;
  }

  /** Opens a wheel. Throws UserError where the file cannot be read or is no zip archive. */
  static async open(path: string): Promise<Wheel> {
    const file = await open(path).catch((error: unknown) => {
      throw refusal(path, "read", error);
    });
    try {
      return new Wheel(file, path, await zipEntries(file, path));
    } catch (error) {
      await file.close();
      throw new UserError(`${path} is not a wheel, or it is cut off.`, {
        code: "file-damaged",
        cause: error,
      });
    }
  }

  /** The names of the files that match. */
  names(pattern: RegExp): string[] {
    return this.#entries.map(({ name }) => name).filter((name) => pattern.test(name));
  }

  /**
   * A file's bytes, compared with the SHA-256 that the wheel's RECORD has for it. Throws UserError where
   * there is no such file, where the record has no checksum for it, and where the checksums differ.
   */
  async read(name: string): Promise<Buffer> {
    const bytes = await this.#unpack(name);
    this.#checksums ??= await this.#readRecord();
    const wanted = this.#checksums.get(name);
    const found = createHash("sha256").update(bytes).digest("base64url");
    if (wanted === found) return bytes;
    throw new UserError(
      `${name} in ${this.#path} is damaged: its checksum is not that of the wheel's record.`,
      { code: "file-damaged" },
    );
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #readRecord(): Promise<Map<string, string>> {
    const [record] = this.names(/^[^/]+\.dist-info\/RECORD$/);
    if (record === undefined)
      throw new UserError(`${this.#path} has no record of its files.`, { code: "file-damaged" });
    const lines = (await this.#unpack(record)).toString("utf8").split(/\r?\n/);
    const found = lines.map((line) => /^"?(.*?)"?,sha256=([^,]+),/.exec(line));
    return new Map(found.flatMap((match) => (match ? [[match[1] ?? "", match[2] ?? ""]] : [])));
  }

  async #unpack(name: string): Promise<Buffer> {
    const entry = this.#entries.find((one) => one.name === name);
    if (!entry) throw new UserError(`${this.#path} does not hold ${name}.`, { code: "file-damaged" });
    try {
      return await readZipEntry(this.#file, entry, this.#path);
    } catch (error) {
      throw new UserError(`${this.#path} is damaged at ${name}.`, { code: "file-damaged", cause: error });
    }
  }
}
