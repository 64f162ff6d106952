import { stat } from "node:fs/promises";
import { type Checkpoint, countIn, decodeCheckpoint, readFileBytes } from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/index.ts";
import { type DatasetName, datasetOf } from "../../../runtime/data/dataset.ts";
import { openDevice, writeFileAtomic } from "../../../runtime/node/index.ts";
import { openRun, provenanceOf, runAround } from "../../../shakenet/node/run.ts";
import type { RunConfig } from "../../../shakenet/node/run-config.ts";
import {
  checkpointSettings,
  type ExportForm,
  frozenModel,
  type Provenance,
} from "../../../shakenet/provenance.ts";
import { formatLarge } from "../../format.ts";
import { shakeCommand } from "../../invocation.ts";
import { loadData } from "../../load-data.ts";
import { findTrainedModel } from "../../models/trained-model.ts";
import { expectOutputFile } from "../../output.ts";
import { openProgress } from "../../progress.ts";
import { complete } from "../../settings.ts";
import { type ExportGiven, exportCommand } from "./command.ts";
import { describeLoss, type QuantizationLoss, quantizedModel } from "./quantize.ts";
import { restoredModel } from "./restored.ts";

export async function run(given: ExportGiven): Promise<number> {
  const { out, json } = given;
  if (out === undefined) throw new UserError("shake export needs --out FILE.", { code: "setting-missing" });
  await expectOutputFile(out, given.source ?? "");
  const { bytes, loss } = await exported(given);
  await writeFileAtomic(out, bytes);
  if (json)
    process.stdout.write(`${JSON.stringify({ model: out, bytes: bytes.length, ...lossFacts(loss) })}\n`);
  else {
    const lines = [
      `${out}  ${formatLarge(bytes.length)}B`,
      ...(loss ? [`accuracy loss ${describeLoss(loss)}`] : []),
    ];
    process.stdout.write(`${lines.join("\n")}\n\nNext:\n  ${shakeCommand("inspect", out)}\n`);
  }
  return 0;
}

interface Exported {
  readonly bytes: Uint8Array;
  readonly loss?: QuantizationLoss;
}

async function exported(given: ExportGiven): Promise<Exported> {
  const { source = "", checkpoint, endAt, adapters } = given;
  const trained = await findTrainedModel(source, checkpoint);
  if (trained) return { bytes: await restoredModel(trained, given) };
  if (endAt !== undefined || adapters) {
    throw new UserError(`--${adapters ? "adapters" : "end-at"} is for a model that came from a file.`, {
      code: "setting-conflict",
    });
  }
  const form: ExportForm = complete(["Model"], given);
  if (form.precision === "int8" && form.opset < 13) {
    throw new UserError(
      `--precision int8 needs --opset 13 or newer, not ${form.opset}: older opsets have one scale for all filters.`,
      { code: "setting-conflict", details: { precision: form.precision, opset: form.opset } },
    );
  }
  return freeze(await openSource(given), form, given);
}

/** The checkpoint to export, and the run that it belongs to. */
interface Source {
  readonly config?: RunConfig;
  readonly checkpoint: Checkpoint;
  readonly where: string;
  readonly about: Provenance;
}

async function openSource({ source = "", checkpoint: kind = "last", data }: ExportGiven): Promise<Source> {
  const isFolder = await stat(source).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const directory = isFolder ? await openRun(source) : await runAround(source);
  const where = isFolder && directory ? directory.checkpointPath(kind) : source;
  const checkpoint = decodeCheckpoint(await readFileBytes(where), where);
  if (!directory) {
    const known = datasetOf(checkpointSettings(checkpoint, where));
    expectSameData(data, known, source);
    return { checkpoint, where, about: { data: data ?? known } };
  }
  const { config } = directory;
  expectSameData(data, config.data, source);
  const step = countIn(checkpoint.properties, "step", where);
  const record = (await directory.records()).find((line) => line.step === step);
  return { config, checkpoint, where, about: provenanceOf(config, record?.test_accuracy) };
}

function expectSameData(
  given: DatasetName | undefined,
  known: DatasetName | undefined,
  source: string,
): void {
  if (given === undefined || known === undefined || given === known) return;
  throw new UserError(`--data ${given} contradicts ${source}, which was trained on ${known}: leave it out.`, {
    code: "setting-conflict",
    details: { given, known },
  });
}

async function freeze(
  { config, checkpoint, where, about }: Source,
  form: ExportForm,
  given: ExportGiven,
): Promise<Exported> {
  const { precision } = form;
  if (precision !== "int8") return { bytes: frozenModel(checkpoint, where, about, { ...form, precision }) };
  const { data } = about;
  if (data === undefined) {
    throw new UserError(
      `int8 is calibrated on training images, and ${where} does not name them: give --data.`,
      { code: "data-unknown", details: { checkpoint: where } },
    );
  }
  const { calibrationImages, device, threads } = complete(exportCommand.settings, given);
  const dataDir = given.dataDir ?? config?.dataDir;
  const trainSet = await loadData(data, { split: "train", limit: calibrationImages, dataDir });
  const testSet = await loadData(data, {
    split: "test",
    limit: given.testLimit ?? config?.testLimit,
    dataDir,
  });
  const opened = await openDevice(device, { threads });
  const sets = { trainSet, testSet, device: opened, progress: openProgress() };
  const made = await quantizedModel(checkpoint, where, about, form, sets);
  if (made.loss.float32 - made.loss.int8 >= 0.5) {
    process.stderr.write(
      `int8 loses half a point or more: --calibration-images above ${calibrationImages} may help, and --precision float16 loses less.\n`,
    );
  }
  return made;
}

function lossFacts(loss: QuantizationLoss | undefined): Readonly<Record<string, number>> {
  if (!loss) return {};
  const { images, float32, int8 } = loss;
  return { test_images: images, float32_accuracy: float32, int8_accuracy: int8 };
}
