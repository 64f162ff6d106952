import * as z from "zod/mini";
import type { Checkpoint } from "./checkpoint.ts";
import { parseValue } from "./json.ts";

const countSchema = z.bigint().check(z.minimum(0n), z.maximum(BigInt(Number.MAX_SAFE_INTEGER)));

/**
 * A count among a checkpoint's properties, such as `step`; undefined where there is none. Throws UserError,
 * naming `where`, for what is no whole number from 0.
 */
export function countIn(
  properties: Checkpoint["properties"],
  name: string,
  where: string,
): number | undefined {
  const value = properties.get(name);
  if (value === undefined) return undefined;
  const source = { where: `${where}, property ${name},`, code: "checkpoint-damaged" } as const;
  return Number(parseValue(countSchema, value, source));
}
