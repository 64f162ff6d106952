import { readFileSync } from "node:fs";
import { decodeCheckpoint, encodeCheckpoint } from "../../artifacts/checkpoint.ts";

/** The checkpoint of a run, with a mean that none of our data sets has. */
export function foreignCheckpoint(path: string): Uint8Array {
  const checkpoint = decodeCheckpoint(readFileSync(path));
  const settings = JSON.parse(String(checkpoint.properties.get("settings")));
  checkpoint.properties.set("settings", JSON.stringify({ ...settings, mean: [1, 2, 3] }));
  return encodeCheckpoint(checkpoint);
}
