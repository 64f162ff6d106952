import { UserError } from "../../graph-builder/errors.ts";

/** An error as a sentence for the page. */
export function sentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return error instanceof UserError ? message : `Something went wrong in the page: ${message}.`;
}
