import { UserError } from "../../graph-builder/errors.ts";
import { shown } from "../../graph-builder/visible.ts";

/** Throws UserError for a number of threads that is not from 1 to 1024. */
export function expectThreads(threads: number | undefined): void {
  if (threads === undefined || (Number.isInteger(threads) && threads >= 1 && threads <= 1024)) return;
  throw new UserError(`The number of threads must be a whole number from 1 to 1024, not ${shown(threads)}.`, {
    code: "setting-invalid",
    details: { setting: "threads", value: threads },
  });
}
