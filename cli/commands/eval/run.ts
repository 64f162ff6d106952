import { readFileBytes } from "../../../artifacts/index.ts";
import { decodeMetadata, UserError } from "../../../graph-builder/index.ts";
import { type DatasetName, datasets } from "../../../runtime/data/dataset.ts";
import { type Classifier, type Dataset, type Evaluation, evaluate } from "../../../runtime/index.ts";
import { loadDataset, openDevice } from "../../../runtime/node/index.ts";
import { openClassifier } from "../../../shakenet/index.ts";
import { openRun } from "../../../shakenet/node/run.ts";
import { frozenModel, trainingData } from "../../../shakenet/provenance.ts";
import { formatTable } from "../../format.ts";
import { openProgress } from "../../progress.ts";
import { complete } from "../../settings.ts";
import { type EvalGiven, evalCommand } from "./command.ts";

export async function run(given: EvalGiven): Promise<number> {
  const { bytes, what, data, dataDir, limit } = await openModel(given);
  const { batchSize, device: name, threads, json } = complete(evalCommand.settings, given);
  const device = await openDevice(name, { threads });
  const classifier = await openClassifier(bytes, device, what);
  const dataset = await loadDataset(data, { split: "test", limit, dataDir });
  const evaluation = await score(classifier, dataset, batchSize);
  await classifier.release();
  const perClass = evaluation.perClass.filter(({ images }) => images > 0);
  if (json) {
    const { loss, accuracy, images } = evaluation;
    const rows = perClass.map(({ className, images: of, correct }) => ({
      class: className,
      images: of,
      correct,
    }));
    process.stdout.write(
      `${JSON.stringify({ model: what, data, images, loss, accuracy, per_class: rows })}\n`,
    );
    return 0;
  }
  const rows = perClass.map(({ className, images, correct }) => [
    className,
    images,
    correct,
    percent(correct, images),
  ]);
  process.stdout.write(
    `${formatTable(["class", "images", "correct", "accuracy"], rows)}\n\n` +
      `${what} on ${datasets[data].title}: loss ${evaluation.loss.toFixed(4)}, accuracy ${evaluation.accuracy.toFixed(2)} % of ${evaluation.images.toLocaleString("en-US")} images\n`,
  );
  return 0;
}

interface OpenedModel {
  readonly bytes: Uint8Array;
  readonly what: string;
  readonly data: DatasetName;
  readonly dataDir: string | undefined;
  readonly limit: number | undefined;
}

async function openModel(given: EvalGiven): Promise<OpenedModel> {
  if ((given.run === undefined) === (given.model === undefined)) {
    throw new UserError("shake eval needs either --run DIR or --model FILE.", { code: "setting-missing" });
  }
  if (given.model !== undefined) {
    const bytes = await readFileBytes(given.model);
    const data = given.data ?? trainingData(decodeMetadata(bytes, given.model), given.model);
    return { bytes, what: given.model, data, dataDir: given.dataDir, limit: given.testLimit };
  }
  const directory = await openRun(given.run ?? "");
  const { config } = directory;
  const kind = given.checkpoint ?? "last";
  const path = directory.checkpointPath(kind);
  const bytes = frozenModel(await directory.checkpoint(kind), path);
  const dataDir = given.dataDir ?? config.dataDir;
  return {
    bytes,
    what: path,
    data: given.data ?? config.data,
    dataDir,
    limit: given.testLimit ?? config.testLimit,
  };
}

async function score(classifier: Classifier, dataset: Dataset, batchSize: number): Promise<Evaluation> {
  const progress = openProgress();
  const steps = evaluate(dataset, batchSize, async ({ images }) => {
    const logits = await classifier.logits(images);
    const [, classes = 0] = logits.dims;
    if (classes >= dataset.classNames.length) return logits;
    throw new UserError(
      `The model has ${classes} classes, and ${dataset.name} has ${dataset.classNames.length}.`,
      { code: "data-mismatch" },
    );
  });
  let next = await steps.next();
  for (; !next.done; next = await steps.next()) {
    progress.update(next.value.done, next.value.of, `${next.value.done} of ${next.value.of} images`);
  }
  progress.stop();
  return next.value;
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / whole).toFixed(2)} %`;
}
