import { join } from "node:path";
import { UserError } from "../../../graph-builder/index.ts";
import { cudaNeeds } from "../../../runtime/node/cuda/next-step.ts";
import {
  cudaState,
  fetchLibraries,
  installedRuntime,
  installProvider,
  librariesFolders,
  libraryFolders,
  linkLibraries,
  withProviderWheel,
} from "../../../runtime/node/cuda/provider.ts";
import { formatTable } from "../../format.ts";
import { shakeCommand } from "../../invocation.ts";
import { openProgress } from "../../progress.ts";
import { print } from "../../terminal.ts";
import type { InstallCudaGiven } from "./command.ts";

export async function run({
  python = "python3",
  wheel,
  fetchLibraries: fetches,
}: InstallCudaGiven): Promise<number> {
  const runtime = installedRuntime();
  const progress = openProgress();
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  process.once("SIGINT", interrupt);
  const report = (text: string) => progress.log(text);
  const pip = { python, report, signal: stop.signal };
  const packages = join(runtime.folder, "..", "..", "..", "..", "cuda-packages");
  try {
    if (wheel !== undefined) await installProvider(wheel, runtime, report);
    else await withProviderWheel(runtime.version, pip, (path) => installProvider(path, runtime, report));
    if (stop.signal.aborted) throw new UserError("The installation was stopped.", { code: "interrupted" });
    if (fetches) await fetchLibraries(packages, pip);
    const state = await cudaState(runtime, python, await libraryFolders(packages));
    const linked = await linkLibraries(librariesFolders(state), runtime);
    if (linked > 0) report(`linked ${linked} libraries beside ONNX Runtime`);
    const rows = cudaNeeds(state, shakeCommand()).map(({ what, found, next }) => [
      what,
      found ?? "missing",
      found === undefined ? next : "",
    ]);
    print(formatTable(["", "found", "next"], rows));
    return 0;
  } finally {
    process.off("SIGINT", interrupt);
    progress.stop();
  }
}
