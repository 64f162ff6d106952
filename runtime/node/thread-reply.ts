import { type ErrorData, UserError } from "../../graph-builder/errors.ts";

/**
 * What a worker thread answers to a request. An error loses its class and its fields between threads, so
 * `mistake` carries those of a UserError.
 */
export type ThreadReply<Result> =
  | { readonly result: Result }
  | { readonly error: unknown; readonly mistake: (ErrorData & { readonly message: string }) | undefined };

/** Does the work of a request in a worker thread. */
export async function replyOf<Result>(work: () => Promise<Result>): Promise<ThreadReply<Result>> {
  try {
    return { result: await work() };
  } catch (error) {
    if (!(error instanceof UserError)) return { error, mistake: undefined };
    const { message, code, details } = error;
    return { error, mistake: { message, code, details } };
  }
}

/** The UserError that a worker thread answered. */
export function mistakeIn({ message, ...data }: ErrorData & { readonly message: string }, cause: unknown) {
  return new UserError(message, { ...data, cause });
}
