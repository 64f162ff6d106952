import { UserError } from "../../graph-builder/errors.ts";

/** The sentence that the page shows for an error. */
export function sentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof UserError ? message : `The page has a bug: ${message}.`;
}
