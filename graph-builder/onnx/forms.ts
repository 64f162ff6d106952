import type { Domain } from "../operators/schema.ts";

/**
 * Which nodes of a file a form is for: an operator of a domain, from the opset `since` on and before `until`,
 * where they are given.
 */
export interface FormRange {
  readonly domain: Domain;
  readonly opType: string;
  readonly since?: number;
  readonly until?: number;
}

/** A look-up of the form for an operator at an opset of its domain. */
export function formTable<F extends FormRange>(
  forms: readonly F[],
): (domain: string, opType: string, opset: number) => F | undefined {
  const byOperator = new Map<string, F[]>();
  for (const form of forms) byOperator.set(form.opType, [...(byOperator.get(form.opType) ?? []), form]);
  return (domain, opType, opset) =>
    byOperator
      .get(opType)
      ?.find(
        (form) =>
          form.domain === domain &&
          (form.since ?? 0) <= opset &&
          opset < (form.until ?? Number.POSITIVE_INFINITY),
      );
}
