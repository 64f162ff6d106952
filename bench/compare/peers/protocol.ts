import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Array32, readTensors, type SharedWorkload, workloadFiles } from "../workload.ts";
import type { Turn } from "./steps.ts";

/** Reads the workload in a folder: its settings, and its tensors by name. */
export function readWorkload(folder: string): SharedWorkload & { arrays: Readonly<Record<string, Array32>> } {
  const file: SharedWorkload = JSON.parse(readFileSync(join(folder, workloadFiles.settings), "utf8"));
  const { buffer } = new Uint8Array(readFileSync(join(folder, workloadFiles.tensors)));
  return { ...file, arrays: readTensors(file, buffer) };
}

/** The peak memory of this process, in MB. */
export function ownPeak(): number {
  return (process.resourceUsage().maxRSS * 1024) / 1e6;
}

/**
 * Prints the version. Then reads a number of steps from each line of standard input, trains them, and
 * prints a Turn as a line of JSON. `train` returns when its last step is done. The process ends at the end
 * of the input, after `end`.
 */
export async function serve(
  version: string,
  train: (steps: number) => Promise<Turn>,
  end?: () => Promise<void>,
): Promise<never> {
  tell({ version });
  for await (const line of createInterface({ input: process.stdin })) tell(await train(Number(line)));
  await end?.();
  process.exit();
}

function tell(answer: { readonly version: string } | Turn): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
