import { join } from "node:path";
import {
  artifactFiles,
  type Checkpoint,
  countIn,
  decodeCheckpoint,
  readFileBytes,
} from "../../../artifacts/index.ts";
import { UserError } from "../../../graph-builder/index.ts";
import { datasetOf, isDatasetName } from "../../../runtime/data/dataset.ts";
import { ownDataPath } from "../../../runtime/node/data/own/own-pictures.ts";
import { isFolder, isThere } from "../../../runtime/node/files.ts";
import { openDevice, writeFileAtomic } from "../../../runtime/node/index.ts";
import { openRun, provenanceOf, runAround } from "../../../shakenet/node/run.ts";
import type { RunConfig } from "../../../shakenet/node/run-config.ts";
import {
  checkpointSettings,
  type ExportForm,
  frozenModel,
  type Provenance,
} from "../../../shakenet/provenance.ts";
import { type DataChoice, openData } from "../../data/open-data.ts";
import { formatLarge } from "../../format.ts";
import { shakeCommand } from "../../invocation.ts";
import { findTrainedModel } from "../../models/trained-model.ts";
import { expectOutputFile } from "../../output.ts";
import { openProgress } from "../../progress.ts";
import { complete } from "../../settings.ts";
import { print, say } from "../../terminal.ts";
import { type ExportGiven, exportCommand } from "./command.ts";
import { describeLoss, type QuantizationLoss, quantizedModel } from "./quantize.ts";
import { restoredModel } from "./restored.ts";

export async function run(given: ExportGiven): Promise<number> {
  const { out, json } = given;
  if (out === undefined) throw new UserError("shake export needs --out FILE.", { code: "setting-missing" });
  await expectOutputFile(out, given.source ?? "");
  const { bytes, loss } = await exported(given);
  await writeFileAtomic(out, bytes);
  if (json) print(JSON.stringify({ model: out, bytes: bytes.length, ...lossFacts(loss) }));
  else {
    const lines = [
      `${out}  ${formatLarge(bytes.length)}B`,
      ...(loss ? [`accuracy loss ${describeLoss(loss)}`] : []),
    ];
    print(`${lines.join("\n")}\n\nNext:\n  ${shakeCommand("inspect", out)}`);
  }
  return 0;
}

interface Exported {
  readonly bytes: Uint8Array;
  readonly loss?: QuantizationLoss;
}

async function exported(given: ExportGiven): Promise<Exported> {
  const { source = "", checkpoint, endAt, adapters } = given;
  if (endAt !== undefined && adapters) {
    throw new UserError("--adapters writes weights and no model, so --end-at does not go with it.", {
      code: "setting-conflict",
    });
  }
  if (checkpoint !== undefined) await expectRun(source);
  const trained = await findTrainedModel(source, checkpoint);
  if (trained) return { bytes: await restoredModel(trained, given) };
  if (endAt !== undefined || adapters) {
    throw new UserError(`--${adapters ? "adapters" : "end-at"} is for a model that came from a file.`, {
      code: "setting-conflict",
    });
  }
  const form: ExportForm = complete(["Model"], given);
  if (form.precision !== "int8" && given.calibrationImages !== undefined) {
    throw new UserError(`--calibration-images is for --precision int8, not for ${form.precision}.`, {
      code: "setting-conflict",
      details: { setting: "calibrationImages", precision: form.precision },
    });
  }
  if (form.precision === "int8" && form.opset < 13) {
    throw new UserError(
      `--precision int8 needs --opset 13 or newer, not ${form.opset}: older opsets have one scale for all filters.`,
      { code: "setting-conflict", details: { precision: form.precision, opset: form.opset } },
    );
  }
  return freeze(await openSource(given), form, given);
}

/** Throws UserError for a path of which --checkpoint chooses nothing. */
async function expectRun(source: string): Promise<void> {
  if ((await isFolder(source)) && !(await isThere(join(source, artifactFiles.trainingModel)))) return;
  throw new UserError(`--checkpoint chooses a checkpoint of a run, and ${source} is not the folder of one.`, {
    code: "setting-conflict",
    details: { setting: "checkpoint", path: source },
  });
}

/** The checkpoint to export, and the run that it belongs to. */
interface Source {
  readonly config?: RunConfig;
  readonly checkpoint: Checkpoint;
  readonly where: string;
  readonly about: Provenance;
  /** The data set that int8 is calibrated on. */
  readonly data: string | undefined;
}

async function openSource({
  source = "",
  checkpoint: kind = "last",
  data: named,
}: ExportGiven): Promise<Source> {
  const data = named === undefined ? undefined : ((await ownDataPath(named)) ?? named);
  const isInFolder = await isFolder(source);
  const isArtifacts = await isThere(join(source, artifactFiles.trainingModel));
  const directory = isInFolder && !isArtifacts ? await openRun(source) : await runAround(source);
  const inFolder = isArtifacts ? join(source, artifactFiles.checkpoint) : directory?.checkpointPath(kind);
  const where = isInFolder ? (inFolder ?? source) : source;
  const checkpoint = decodeCheckpoint(await readFileBytes(where), where);
  if (!directory) {
    const known = datasetOf(checkpointSettings(checkpoint, where));
    expectSameData(data, known, source);
    const trained = data ?? known;
    const about = trained !== undefined && isDatasetName(trained) ? { data: trained } : {};
    return { checkpoint, where, about, data: trained };
  }
  const { config } = directory;
  // pictures of one's own may be in another folder now
  if (!config.pictures) expectSameData(data, config.data, source);
  const step = countIn(checkpoint.properties, "step", where);
  const record = (await directory.records()).find((line) => line.step === step);
  const about = provenanceOf(config, record?.test_accuracy);
  return { config, checkpoint, where, about, data: data ?? config.data };
}

function expectSameData(given: string | undefined, known: string | undefined, source: string): void {
  if (given === undefined || known === undefined || given === known) return;
  throw new UserError(`--data ${given} contradicts ${source}, which was trained on ${known}: leave it out.`, {
    code: "setting-conflict",
    details: { given, known },
  });
}

async function freeze(source: Source, form: ExportForm, given: ExportGiven): Promise<Exported> {
  const { config, checkpoint, where, about, data } = source;
  const { precision } = form;
  if (precision !== "int8") return { bytes: frozenModel(checkpoint, where, about, { ...form, precision }) };
  if (data === undefined) {
    throw new UserError(
      `int8 is calibrated on training images, and ${where} does not name them: give --data.`,
      { code: "data-unknown", details: { checkpoint: where } },
    );
  }
  const { calibrationImages, device, threads } = complete(exportCommand.settings, given);
  const progress = openProgress();
  const from = await openData(dataOf(source, data, given), progress);
  const trainSet = await from.load("train", calibrationImages);
  const testSet = await from.load("test", given.testLimit ?? config?.testLimit);
  await from.close();
  const sets = { trainSet, testSet, device: await openDevice(device, { threads }), progress };
  const made = await quantizedModel(checkpoint, where, about, form, sets);
  if (made.loss.float32 - made.loss.int8 >= 0.5) {
    say(
      `int8 loses half a point or more: --calibration-images above ${calibrationImages} may help, and --precision float16 loses less.`,
    );
  }
  return made;
}

/** The data set of a checkpoint. One's own pictures of a checkpoint without a run are read in its size. */
function dataOf({ config, checkpoint, where }: Source, data: string, { dataDir }: ExportGiven): DataChoice {
  if (isDatasetName(data)) return { data, dataDir: dataDir ?? config?.dataDir };
  if (config) return { ...config, data };
  const { mean, std, imageSize: side = 32 } = checkpointSettings(checkpoint, where);
  const size = { channels: mean.length, height: side, width: side };
  return { data, pictures: { classNames: [], size, mean, std, background: mean.map(Math.round) } };
}

function lossFacts(loss: QuantizationLoss | undefined): Readonly<Record<string, number>> {
  if (!loss) return {};
  const { images, float32, int8 } = loss;
  return { test_images: images, float32_accuracy: float32, int8_accuracy: int8 };
}
