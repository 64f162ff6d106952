import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** The run whose frozen network was written last, among the folders in runs/; undefined where there is none. */
export async function newestRun(): Promise<string | undefined> {
  const entries = await readdir("runs", { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => join("runs", name));
  const runs: { run: string; time: number }[] = [];
  for (const run of folders) {
    const time = await finishTime(run);
    if (time !== undefined) runs.push({ run, time });
  }
  return runs.sort((a, b) => b.time - a.time)[0]?.run;
}

/** When the network of a run was frozen, in ms; undefined for a folder that holds no finished run. */
export async function finishTime(run: string): Promise<number | undefined> {
  const [model, checkpoint] = await Promise.all(
    ["model.onnx", join("checkpoints", "last")].map((file) => stat(join(run, file)).catch(() => undefined)),
  );
  return checkpoint && model?.mtimeMs;
}
