import { expect } from "vitest";
import { UserError } from "../../graph-builder/errors.ts";

/** The message of the UserError with which a promise must be rejected. */
export async function messageOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof UserError) return error.message;
  return expect.fail(`no UserError but ${error}`);
}
