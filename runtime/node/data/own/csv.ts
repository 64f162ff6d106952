import { dirname, isAbsolute, join, resolve } from "node:path";
import { UserError } from "../../../../graph-builder/errors.ts";
import { readFileBytes } from "../../files.ts";
import { type ListedPicture, type PictureListing, splitOf } from "./listing.ts";

const columnNames = {
  path: ["path", "file", "filename", "file_name", "filepath", "image", "picture"],
  label: ["label", "class", "category", "target"],
  split: ["split", "set", "subset"],
} as const;

/** The places of the columns in a row. */
interface Columns {
  readonly path: number;
  readonly label: number;
  readonly split: number | undefined;
}

/**
 * The pictures of a CSV file (RFC 4180): `path,label`, and `split` where there is a third column. Paths are
 * relative to the file's folder. A first row with the names of the columns may be there. Throws UserError for
 * a row without path or label, or of an unknown split.
 */
export async function listCsv(file: string): Promise<PictureListing> {
  const text = textOf(await readFileBytes(file), file);
  const rows = parseCsv(text);
  if (!rows) throw damaged(file, "a quotation mark is not closed");
  const [first = []] = rows;
  const named = columnsNamed(first);
  const columns = named ?? { path: 0, label: 1, split: first.length > 2 ? 2 : undefined };
  const folder = dirname(resolve(file));
  const pictures = rows.slice(named ? 1 : 0).map((row, i): ListedPicture => {
    const name = (row[columns.path] ?? "").trim();
    const label = (row[columns.label] ?? "").trim();
    const line = i + (named ? 2 : 1);
    if (name === "" || label === "") {
      throw damaged(
        file,
        `row ${line} lacks a path or a label: the columns are path,label${otherSeparator(row)}`,
      );
    }
    const text = columns.split === undefined ? undefined : (row[columns.split] ?? "").trim();
    const split = text === undefined ? undefined : splitOf(text);
    if (text !== undefined && split === undefined) {
      throw damaged(file, `row ${line} has the split ${text || "(empty)"}: it must be train, val or test`);
    }
    return { path: isAbsolute(name) ? name : join(folder, name), name, label, split };
  });
  if (pictures.length === 0) throw damaged(file, "it has no rows: the columns are path,label");
  return { pictures, empty: [], notices: [] };
}

/** The text of a file. Throws UserError for one that is not in UTF-8, whose names would be others. */
function textOf(bytes: Uint8Array, file: string): string {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (!text.includes("\0")) return text;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  throw damaged(file, "it is not in UTF-8: save it as CSV in UTF-8");
}

/** What a row of one cell, which a semicolon or a tab divides, lacks: Excel writes them in some languages. */
function otherSeparator(row: readonly string[]): string {
  const [, found] = row.length === 1 ? (/([;\t])/.exec(row[0] ?? "") ?? []) : [];
  return found === undefined
    ? ""
    : `, with commas between them, not ${found === ";" ? "semicolons" : "tabs"}`;
}

function columnsNamed(row: readonly string[]): Columns | undefined {
  const names = row.map((cell) => cell.trim().toLowerCase());
  const find = (known: readonly string[]) => names.findIndex((name) => known.includes(name));
  const [path, label, split] = [find(columnNames.path), find(columnNames.label), find(columnNames.split)];
  if (path < 0 || label < 0) return undefined;
  return { path, label, split: split < 0 ? undefined : split };
}

function damaged(file: string, reason: string): UserError {
  return new UserError(`${file} is not a list of pictures: ${reason}.`, {
    code: "data-damaged",
    details: { path: file, reason },
  });
}

/**
 * The rows of a CSV text without empty ones. Cells may be in quotes; a quote in one is doubled. Undefined
 * where a quote is not closed.
 */
export function parseCsv(text: string): string[][] | undefined {
  const rows: string[][] = [];
  let row: string[] = [];
  const cell = /("(?:[^"]|"")*"|[^",\r\n][^,\r\n]*|)(,|\r\n|\n|\r|$)/gy;
  const body = text.replace(/^\uFEFF/, "");
  while (cell.lastIndex < body.length) {
    const [, value = "", end] = cell.exec(body) ?? [];
    if (end === undefined) return undefined;
    row.push(value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value);
    if (end === ",") continue;
    if (row.some((each) => each !== "")) rows.push(row);
    row = [];
  }
  if (row.some((each) => each !== "")) rows.push(row);
  return rows;
}
