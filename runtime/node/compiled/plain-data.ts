// not from the index, which loads the compiler into every thread that decodes
import { CeilQuotient, DimSum, DimSymbol, parseDim } from "../../../graph-builder/dims.ts";

/**
 * Data as bytes: the length of a text of JSON (uint32, little-endian), the text, and the byte arrays that it
 * refers to. Where JSON has no form for a value, the text has an object with one of these keys.
 */
const marks = { bytes: "$bytes", map: "$map", dim: "$dim" } as const;

/** A value that is no plain data. */
class OtherValueError extends Error {
  override readonly name = "OtherValueError";
}

/**
 * Encodes objects, lists and maps of numbers, texts, switches, null, byte arrays and dimensions of types.
 * Fields that are undefined are left out. Returns undefined where there is any other value.
 */
export function encodePlain(data: unknown): Uint8Array | undefined {
  try {
    return encode(data);
  } catch (error) {
    if (error instanceof OtherValueError) return undefined;
    throw error;
  }
}

function encode(data: unknown): Uint8Array {
  const arrays: Uint8Array[] = [];
  let end = 0;
  const append = (bytes: Uint8Array) => {
    arrays.push(bytes);
    end += bytes.length;
    return [end - bytes.length, end];
  };
  const text = new TextEncoder().encode(JSON.stringify(formOf(data, append)));
  const header = new Uint8Array(4);
  new DataView(header.buffer).setUint32(0, text.length, true);
  return Buffer.concat([header, text, ...arrays]);
}

/** What encodePlain encoded. The caller knows its type; its byte arrays are copies. */
export function decodePlain(bytes: Uint8Array) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const arrays = bytes.subarray(4 + length);
  const text = new TextDecoder().decode(bytes.subarray(4, 4 + length));
  return JSON.parse(text, (_, value) => {
    if (typeof value !== "object" || value === null) return value;
    if (marks.bytes in value) return new Uint8Array(arrays.subarray(...value[marks.bytes]));
    if (marks.map in value) return new Map(value[marks.map]);
    return marks.dim in value ? parseDim(value[marks.dim]) : value;
  });
}

/** The form of a value in JSON; `append` keeps a byte array, and returns where it begins and ends. */
function formOf(value: unknown, append: (bytes: Uint8Array) => readonly number[]): unknown {
  const form = (part: unknown) => formOf(part, append);
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (Array.isArray(value)) return value.map(form);
  if (value instanceof Uint8Array) return { [marks.bytes]: append(value) };
  if (value instanceof Map) return { [marks.map]: [...value].map((entry) => entry.map(form)) };
  if (isDimension(value)) return { [marks.dim]: String(value) };
  if (!isPlainObject(value)) throw new OtherValueError(`a ${typeof value}`);
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, field]) => {
      if (key.startsWith("$")) throw new OtherValueError(`the key ${key}`);
      return field === undefined ? [] : [[key, form(field)]];
    }),
  );
}

function isDimension(value: unknown): boolean {
  return value instanceof DimSymbol || value instanceof CeilQuotient || value instanceof DimSum;
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
