import type { OtherConstant } from "../artifacts/index.ts";
import { listed } from "../artifacts/listed.ts";
import { formatTable } from "./format.ts";

/** A table of the constants that are no parameters, by the reason; nothing where there are none. */
export function constantsTable(constants: readonly OtherConstant[]): string[] {
  const reasons = [...new Set(constants.map(({ reason }) => reason))];
  const rows = reasons.map((reason) => {
    const names = constants.filter((each) => each.reason === reason).map(({ name }) => name);
    return [names.length, reason, listed(names)];
  });
  return rows.length > 0 ? [formatTable(["constants", "no parameters, because", "names"], rows)] : [];
}
