import type { Command, GivenOf } from "../../command.ts";
import type { CompleteSettings } from "../../settings.ts";

const settings = [
  "depth",
  "width",
  "batchSize",
  "device",
  "threads",
  "replicas",
  "Benchmark",
  "config",
  "json",
] as const;

/** `shake bench`: times training steps on random images. */
export const benchCommand: Command<(typeof settings)[number]> = {
  name: "bench",
  summary: "measure the speed and memory of training steps",
  help: "Times training steps on random images: images per second, memory, and with --profile the time of each operator.",
  settings,
  load: () => import("./run.ts"),
};

export type BenchGiven = GivenOf<typeof benchCommand>;

/** The settings of a benchmark, complete. */
export type BenchSettings = CompleteSettings<(typeof settings)[number]> & { readonly replicas: number };
