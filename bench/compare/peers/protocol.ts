import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Array32, readTensors, type WorkloadFile, workloadFiles } from "../workload.ts";
import type { Turn } from "./steps.ts";

/** The workload in a folder: its settings and its tensors by name. */
export function readWorkload(folder: string): WorkloadFile & { arrays: Readonly<Record<string, Array32>> } {
  const file = JSON.parse(readFileSync(join(folder, workloadFiles.settings), "utf8")) as WorkloadFile;
  const { buffer } = new Uint8Array(readFileSync(join(folder, workloadFiles.tensors)));
  return { ...file, arrays: readTensors(file, buffer) };
}

/** The most memory that this process has held, in MB. */
export function ownPeak(): number {
  return (process.resourceUsage().maxRSS * 1024) / 1e6;
}

/**
 * Says what it is, takes as many steps as each line of standard input says, and answers with a Turn in a line of JSON.
 * `train` takes some steps and returns when the last is done. At the end of the input the process ends.
 */
export async function serve(version: string, train: (steps: number) => Promise<Turn>): Promise<never> {
  tell({ version });
  for await (const line of createInterface({ input: process.stdin })) tell(await train(Number(line)));
  process.exit();
}

function tell(answer: { readonly version: string } | Turn): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
