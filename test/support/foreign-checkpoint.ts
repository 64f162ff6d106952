import { readFileSync } from "node:fs";
import { decodeCheckpoint, encodeCheckpoint } from "../../artifacts/checkpoint.ts";

/** A run's checkpoint as if it had been trained on pictures that are normalised as those of no data set here. */
export function foreignCheckpoint(path: string): Uint8Array {
  const checkpoint = decodeCheckpoint(readFileSync(path));
  const settings = JSON.parse(String(checkpoint.properties.get("settings")));
  checkpoint.properties.set("settings", JSON.stringify({ ...settings, mean: [1, 2, 3] }));
  return encodeCheckpoint(checkpoint);
}
