import { dirname } from "node:path";
import { type Checkpoint, decodeCheckpoint, readFileBytes } from "../../../artifacts/index.ts";
import { createModel, decodeMetadata, encodeModel, UserError } from "../../../graph-builder/index.ts";
import { ownEntry } from "../../../graph-builder/own-entry.ts";
import { openDevice, readModelFile } from "../../../runtime/node/index.ts";
import { runOfCheckpoint } from "../../../runtime/node/run/run-directory.ts";
import { openClassifier, trainedGraph } from "../../../shakenet/index.ts";
import { openRun, runAround } from "../../../shakenet/node/run.ts";
import { checkpointSettings } from "../../../shakenet/provenance.ts";
import { loadMeasured, type RunData } from "../../data/measured.ts";
import { findModelRun, modelOf } from "../../models/model-run.ts";
import { openProgress } from "../../progress.ts";
import { complete } from "../../settings.ts";
import { print } from "../../terminal.ts";
import { type VerifyGiven, verifyCommand } from "./command.ts";
import { compareDevices } from "./compare.ts";
import { describe } from "./report.ts";

/**
 * The tolerated error of the logits, relative to the largest logit of the checkpoint, by the model's
 * precision.
 */
const tolerances: Readonly<Record<string, number>> = { float32: 1e-5, float16: 1e-2, int8: 0.1 };

export async function run(given: VerifyGiven): Promise<number> {
  const { model = "", json } = given;
  const bytes = await readModelFile(model);
  const metadata = decodeMetadata(bytes, model);
  const { checkpoint, where, reference, run: ofRun } = await openTrained(given);
  expectSameStep(metadata, model, checkpoint, where);
  const limit = given.testLimit ?? 256;
  const size = async () => {
    const classifier = await openClassifier(bytes, await openDevice("cpu", given), model);
    await classifier.release();
    return classifier.imageSize;
  };
  const { data: named, dataDir } = given;
  const choice = { given: { data: named, dataDir }, run: ofRun, metadata, what: model, size, limit };
  const { dataset, part } = await loadMeasured(choice, openProgress());
  const { name: data } = dataset;
  const { rows, absent } = await compareDevices(
    { bytes, model },
    { bytes: reference(), where },
    dataset,
    complete(verifyCommand.settings, given),
  );
  const tolerance = toleranceOf(metadata["precision"]);
  const measured = { data, part, images: dataset.count };
  const report = { model, against: where, ...measured, tolerance, devices: rows, absent };
  print(json ? JSON.stringify(report) : describe(report));
  return rows.every(({ largest_error }) => largest_error <= tolerance) ? 0 : 1;
}

function toleranceOf(precision = "float32"): number {
  return ownEntry(tolerances, precision) ?? 1e-5;
}

/** What a model is compared with. */
interface Trained {
  readonly checkpoint: Checkpoint;
  readonly where: string;
  /** The network as its evaluation in training computes it, as one .onnx. */
  readonly reference: () => Uint8Array;
  /** What the run of the checkpoint says of its data. */
  readonly run?: RunData | undefined;
}

async function openTrained(given: VerifyGiven): Promise<Trained> {
  const { model = "", run, against, checkpoint: kind } = given;
  if (against !== undefined && (run !== undefined || kind !== undefined)) {
    const other = run !== undefined ? "--run DIR" : "--checkpoint, which chooses one of a run,";
    throw new UserError(`shake verify takes ${other} or --against CHECKPOINT, not both.`, {
      code: "setting-conflict",
    });
  }
  const around = against === undefined ? (run ?? dirname(model)) : await runOfCheckpoint(against);
  const ofModel = around === undefined ? undefined : await findModelRun(around);
  if (ofModel) {
    const { evalModel } = await ofModel.artifacts();
    const where = against ?? ofModel.checkpointPath(kind ?? "last");
    const checkpoint = decodeCheckpoint(await readFileBytes(where), where);
    const reference = () => modelOf({ evalModel }, checkpoint, ofModel.config);
    return { checkpoint, where, reference, run: ofModel.config };
  }
  const opened = await openCheckpoint(given);
  const { checkpoint, where } = opened;
  const graph = () => trainedGraph(checkpointSettings(checkpoint, where), checkpoint);
  return { ...opened, reference: () => encodeModel(createModel(graph())) };
}

async function openCheckpoint(given: VerifyGiven): Promise<Omit<Trained, "reference">> {
  const { model = "", run, against, checkpoint: kind = "last" } = given;
  if (against !== undefined) {
    const checkpoint = decodeCheckpoint(await readFileBytes(against), against);
    return { checkpoint, where: against, run: (await runAround(against))?.config };
  }
  const directory = await openRun(run ?? dirname(model)).catch((error: unknown) => {
    if (run !== undefined || !(error instanceof UserError && error.code === "run-missing")) throw error;
    throw new UserError(`${model} is not in the folder of a run: give --run DIR or --against CHECKPOINT.`, {
      code: "run-missing",
      details: { model },
      cause: error,
    });
  });
  const checkpoint = await directory.checkpoint(kind);
  return { checkpoint, where: directory.checkpointPath(kind), run: directory.config };
}

/** Throws UserError for a model that was frozen at another step of the training. */
function expectSameStep(
  { steps }: Readonly<Record<string, string>>,
  model: string,
  { properties }: Checkpoint,
  where: string,
): void {
  const step = properties.get("step");
  if (steps === undefined || step === undefined || steps === String(step)) return;
  throw new UserError(
    `${model} was frozen after step ${steps}, and ${where} is of step ${step}: give --checkpoint or --against.`,
    { code: "model-mismatch" },
  );
}
