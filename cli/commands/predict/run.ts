import { at } from "../../../graph-builder/at.ts";
import { decodeMetadata, UserError } from "../../../graph-builder/index.ts";
import { openDevice, readModelFile, writeFileAtomic } from "../../../runtime/node/index.ts";
import { backgroundIn, classNamesIn } from "../../../shakenet/index.ts";
import { csvLine } from "../../csv.ts";
import { formatTable } from "../../format.ts";
import { shakeCommand } from "../../invocation.ts";
import { packagedModel } from "../../models/packaged-model.ts";
import { modelOfRun, type NamedModel, runOf } from "../../models/run-model.ts";
import { openFed } from "../../models/scaling-classifier.ts";
import { expectOutputFile } from "../../output.ts";
import { openProgress } from "../../progress.ts";
import { complete } from "../../settings.ts";
import { print, say } from "../../terminal.ts";
import { type Candidate, classify, type Prediction } from "./classify.ts";
import { type PredictGiven, predictCommand } from "./command.ts";
import { namedPictures } from "./named-pictures.ts";

export async function run(given: PredictGiven): Promise<number> {
  const { json, out } = given;
  const { model, paths } = await sources(given);
  const { device, threads } = complete(predictCommand.settings, given);
  const { bytes, where } = await openModel(model);
  const pictures = await namedPictures(paths);
  if (out !== undefined) await expectOutputFile(out, where, ...pictures.map(({ path }) => path));
  const metadata = decodeMetadata(bytes, where);
  const classNames = classNamesIn(metadata, say);
  const opened = await openDevice(device, { threads });
  const classifier = await openFed(bytes, opened, where, given);
  const progress = openProgress();
  try {
    const predictions = await classify(classifier, pictures, {
      classNames,
      background: backgroundIn(metadata),
      onProgress: (done, of) => progress.update(done, of, `${done} of ${of} pictures`),
      onBroken: (sentence) => progress.log(sentence),
    });
    progress.stop();
    if (out !== undefined) await writeFileAtomic(out, new TextEncoder().encode(csvOf(predictions)));
    if (json) print(JSON.stringify({ model: where, predictions: predictions.map(facts) }));
    else print(out === undefined ? tableOf(predictions) : `${predictions.length} predictions: ${out}`);
  } finally {
    progress.stop();
    await classifier.release();
  }
  return 0;
}

/** The model and the paths of pictures that were named. Throws UserError where there are no pictures. */
async function sources({ model, pictures = [] }: PredictGiven): Promise<{
  readonly model: string;
  readonly paths: readonly string[];
}> {
  const [first = "", ...others] = pictures;
  const isModel = /\.onnx$/i.test(first) || (await runOf(first)) !== undefined;
  if (model === undefined && !isModel) return { model: packagedModel, paths: pictures };
  const named = model === undefined ? { model: first, paths: others } : { model, paths: pictures };
  if (named.paths.length > 0) return named;
  throw new UserError(`shake predict needs pictures: see ${shakeCommand("predict", "--help")}.`, {
    code: "setting-missing",
    details: { setting: "pictures" },
  });
}

/** A model in a file, or that of a run. */
async function openModel(path: string): Promise<NamedModel> {
  const run = await runOf(path);
  return run === undefined ? { bytes: await readModelFile(path), where: path } : modelOfRun(run);
}

function facts({ picture, candidates: [first, ...others] }: Prediction): object {
  return { picture, ...first, runners_up: others.slice(0, 3) };
}

function tableOf(predictions: readonly Prediction[]): string {
  const rows = predictions.map(({ picture, candidates }) => [
    picture,
    at(candidates, 0).class,
    percent(at(candidates, 0)),
    candidates
      .slice(1, 4)
      .map((other) => `${other.class} ${percent(other)}`)
      .join(", "),
  ]);
  return formatTable(["picture", "class", "probability", "runners-up"], rows);
}

/** A line for each picture: its path, and the likeliest classes with their probabilities. */
function csvOf(predictions: readonly Prediction[]): string {
  const head = ["picture", "class", "probability", "second", "second_probability"];
  const rows = predictions.map(({ picture, candidates: [first, second] }) => [
    picture,
    first?.class ?? "",
    first?.probability ?? "",
    second?.class ?? "",
    second?.probability ?? "",
  ]);
  return [head, ...rows].map(csvLine).join("");
}

function percent({ probability }: Candidate): string {
  return `${(100 * probability).toFixed(2)} %`;
}
