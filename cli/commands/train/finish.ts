import { join } from "node:path";
import { UserError } from "../../../graph-builder/errors.ts";
import { provenanceOf, type ShakeNetRun } from "../../../shakenet/node/run.ts";
import { frozenModel } from "../../../shakenet/provenance.ts";
import { shakeCommand } from "../../invocation.ts";
import type { Reporter, ReportFile } from "../../reporters/reporter.ts";

/** The result of a run, as `--json` prints it. */
interface Result {
  readonly run_dir: string;
  readonly test_accuracy: number;
  readonly train_accuracy: number;
  readonly images_per_second: number;
  readonly parameters: number;
  readonly model: string;
}

/**
 * Exports the last weights, as the paper reports them, lets the reporters finish, and prints what to do next.
 */
export async function finish(
  directory: ShakeNetRun,
  parameters: number,
  { reporters, json }: { readonly reporters: readonly Reporter[]; readonly json: boolean },
): Promise<void> {
  const { config, path } = directory;
  const last = (await directory.records()).at(-1);
  if (!last)
    throw new UserError(`${join(path, "metrics.jsonl")} holds no epoch.`, { code: "metrics-damaged" });
  const checkpoint = await directory.checkpoint("last");
  const about = provenanceOf(config, last.test_accuracy);
  const bytes = frozenModel(checkpoint, directory.checkpointPath("last"), about);
  const model = await directory.writeModel(bytes);
  const files: ReportFile[] = [{ path: model, what: "the network, for any ONNX runtime" }];
  for (const reporter of reporters) {
    const file = await reporter.finish?.();
    if (file) files.push(file);
  }
  const result: Result = {
    run_dir: path,
    test_accuracy: last.test_accuracy,
    train_accuracy: last.train_accuracy,
    images_per_second: last.images_per_second,
    parameters,
    model,
  };
  process.stdout.write(json ? `${JSON.stringify(result)}\n` : `${summary(result, files)}\n`);
}

function summary({ run_dir, test_accuracy, model }: Result, files: readonly ReportFile[]): string {
  return [
    "",
    `Test accuracy ${test_accuracy.toFixed(2)} %`,
    "",
    ...files.map(({ path, what }) => `  ${path}  ${what}`),
    "",
    "Next:",
    `  ${shakeCommand("eval", "--run", run_dir)}`,
    `  ${shakeCommand("inspect", model)}`,
    `  ${shakeCommand("export", run_dir, "--out", "shakenet.onnx")}`,
  ].join("\n");
}
