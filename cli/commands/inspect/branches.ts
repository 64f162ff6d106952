import { at, UserError } from "../../../graph-builder/index.ts";
import { resultOf } from "../../../runtime/index.ts";
import { openDevice } from "../../../runtime/node/index.ts";
import { branchCorrelations, imageShapeOf, networkName, noiseName } from "../../../shakenet/index.ts";
import { openRun, type ShakeNetRun } from "../../../shakenet/node/run.ts";
import { checkpointSettings } from "../../../shakenet/provenance.ts";
import { loadMeasured } from "../../data/measured.ts";
import { formatFields, formatTable } from "../../format.ts";
import { findModelRun } from "../../models/model-run.ts";
import { openProgress } from "../../progress.ts";
import type { Report } from "./report.ts";

/** The images of a batch. */
const BATCH = 200;

/** The characters of a bar of 1. */
const BAR = 40;

/**
 * The correlation of the two branches of every block of a run's last checkpoint, over its test images. Throws
 * UserError where the path is no run of a ShakeNet.
 */
export async function inspectBranches(path: string, testLimit: number | undefined): Promise<Report> {
  if (await findModelRun(path)) {
    throw new UserError(`${path} trains a model that came from a file, which has no branches to mix.`, {
      code: "model-unsupported",
    });
  }
  const run = await openRun(path);
  const correlations = await measured(run, testLimit ?? run.config.testLimit);
  const { config } = run;
  const mix = noiseName(config);
  const facts = { kind: "branches", path, network: networkName(config), mix, correlations };
  const perStage = correlations.length / 3;
  const rows = correlations.map((value, i) => [
    `stage${Math.floor(i / perStage) + 1}.block${i % perStage}`,
    value.toFixed(2),
    "█".repeat(Math.max(0, Math.round(BAR * value))),
  ]);
  const title = formatFields({ run: path, network: `${facts.network}, ${mix}` });
  return { facts, text: `${title}\n\n${formatTable(["block", "correlation", ""], rows)}` };
}

async function measured(run: ShakeNetRun, limit: number | undefined): Promise<number[]> {
  const progress = openProgress();
  const where = run.checkpointPath("last");
  const checkpoint = await run.checkpoint("last");
  const settings = checkpointSettings(checkpoint, where);
  const shape = imageShapeOf(settings);
  const size = async () => ({ channels: at(shape, 0), height: at(shape, 1), width: at(shape, 2) });
  const choice = { given: {}, run: run.config, metadata: {}, what: where, size, limit };
  const { dataset } = await loadMeasured(choice, progress);
  const device = await openDevice("cpu");
  const measuring = branchCorrelations(settings, checkpoint, dataset, BATCH, device);
  try {
    return await resultOf(measuring, ({ done, of }) =>
      progress.update(done, of, `measured ${done} of ${of} images`),
    );
  } finally {
    progress.stop();
  }
}
