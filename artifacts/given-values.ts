import { UserError } from "../graph-builder/errors.ts";
import { shown } from "../graph-builder/visible.ts";

/** Throws UserError for what is no bytes, for programs without types. */
export function expectBytes(setting: string, what: string, given: unknown): void {
  if (given instanceof Uint8Array) return;
  throw invalid(setting, `${what} must be bytes (Uint8Array), not ${shown(given)}.`);
}

/** Throws UserError for what is no decoded checkpoint, such as the bytes of one. */
export function expectCheckpoint(what: string, given: unknown): void {
  if (isObject(given) && given["trainable"] instanceof Map && given["frozen"] instanceof Map) return;
  const other = given instanceof Promise ? "a promise of one" : shown(given);
  const found = given instanceof Uint8Array ? "its bytes" : other;
  throw invalid("checkpoint", `${what} takes a checkpoint as decodeCheckpoint returns it, not ${found}.`);
}

export function isText(value: unknown): value is string {
  return typeof value === "string";
}

/** Whether a value has properties, also a list or a Map. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

/** The error of an argument that is no such thing. */
export function invalid(setting: string, message: string): UserError {
  return new UserError(message, { code: "setting-invalid", details: { setting } });
}
