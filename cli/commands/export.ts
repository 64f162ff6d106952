import { stat } from "node:fs/promises";
import { type Checkpoint, decodeCheckpoint, readFileBytes } from "../../artifacts/index.ts";
import { UserError } from "../../graph-builder/index.ts";
import { type DatasetName, datasetOf } from "../../runtime/data/dataset.ts";
import { loadDataset, openDevice, writeFileAtomic } from "../../runtime/node/index.ts";
import type { Command } from "../flags.ts";
import { checkpointSettings, type ExportForm, frozenModel, type Provenance } from "../frozen-model.ts";
import { openProgress } from "../progress.ts";
import { describeLoss, type QuantizationLoss, quantizedModel } from "../quantized-model.ts";
import { RunDirectory } from "../run-directory.ts";
import { type GivenSettings, settingsOf, withDefaults } from "../settings.ts";
import { formatLarge } from "../tables.ts";

const settings = [
  "source",
  "out",
  "checkpoint",
  ...settingsOf("Model"),
  "data",
  "dataDir",
  "testLimit",
  "device",
  "threads",
  "config",
  "json",
] as const;
type Given = GivenSettings<(typeof settings)[number]>;

/** `shake export`: a run or a checkpoint as one plain .onnx. */
export const exportCommand: Command<(typeof settings)[number]> = {
  settings,
  positional: "source",
  async run(given) {
    const { out, json } = given;
    const form: ExportForm = withDefaults(settingsOf("Model"), given);
    if (out === undefined) throw new UserError("shake export needs --out FILE.");
    if (form.precision === "int8" && form.opset < 13) {
      throw new UserError(
        `--precision int8 needs --opset 13 or newer, not ${form.opset}: a scale for each filter came with it.`,
      );
    }
    const source = await openSource(given);
    const { bytes, loss } = await freeze(source, form, given);
    await writeFileAtomic(out, bytes);
    if (json)
      process.stdout.write(`${JSON.stringify({ model: out, bytes: bytes.length, ...lossFacts(loss) })}\n`);
    else {
      const lines = [
        `${out}  ${formatLarge(bytes.length)}B`,
        ...(loss ? [`accuracy loss ${describeLoss(loss)}`] : []),
      ];
      process.stdout.write(`${lines.join("\n")}\n\nNext:\n  npx shake inspect ${out}\n`);
    }
    return 0;
  },
};

/** What is to be frozen, and the run that it comes from. */
interface Source {
  readonly checkpoint: Checkpoint;
  readonly where: string;
  readonly about: Provenance;
}

async function openSource({ source = "", checkpoint: kind = "last", data }: Given): Promise<Source> {
  const isFolder = await stat(source).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const directory = isFolder ? await RunDirectory.open(source) : await RunDirectory.around(source);
  const where = isFolder && directory ? directory.checkpointPath(kind) : source;
  const checkpoint = decodeCheckpoint(await readFileBytes(where), where);
  if (!directory) {
    const known = datasetOf(checkpointSettings(checkpoint, where));
    expectSameData(data, known, source);
    return { checkpoint, where, about: { data: data ?? known } };
  }
  const { config } = directory;
  expectSameData(data, config.data, source);
  const step = Number(checkpoint.properties.get("step"));
  const record = (await directory.records()).find((line) => line.step === step);
  return { checkpoint, where, about: { config, testAccuracy: record?.test_accuracy } };
}

function expectSameData(
  given: DatasetName | undefined,
  known: DatasetName | undefined,
  source: string,
): void {
  if (given === undefined || known === undefined || given === known) return;
  throw new UserError(`--data ${given} contradicts ${source}, which was trained on ${known}: leave it out.`);
}

async function freeze(
  { checkpoint, where, about }: Source,
  form: ExportForm,
  given: Given,
): Promise<{ bytes: Uint8Array; loss?: QuantizationLoss }> {
  const { precision } = form;
  if (precision !== "int8") return { bytes: frozenModel(checkpoint, where, about, { ...form, precision }) };
  const { config, data = config?.data } = about;
  if (data === undefined) {
    throw new UserError(
      `int8 is calibrated on training images, and ${where} does not name them: give --data.`,
    );
  }
  const { calibrationImages, device, threads } = withDefaults(settings, given);
  const dataDir = given.dataDir ?? config?.dataDir;
  const trainSet = await loadDataset(data, { split: "train", limit: calibrationImages, dataDir });
  const testSet = await loadDataset(data, {
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
