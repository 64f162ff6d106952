import { readFileBytes } from "../../../artifacts/index.ts";
import { at } from "../../../graph-builder/at.ts";
import { decodeMetadata, UserError } from "../../../graph-builder/index.ts";
import { floatData } from "../../../runtime/device/tensors.ts";
import { readPicture } from "../../../runtime/node/data/pictures.ts";
import { openDevice } from "../../../runtime/node/index.ts";
import { backgroundIn, classNamesIn, openClassifier } from "../../../shakenet/index.ts";
import { formatTable } from "../../format.ts";
import { shakeCommand } from "../../invocation.ts";
import { packagedModel } from "../../models/packaged-model.ts";
import { feedingFrom } from "../../models/scaling-classifier.ts";
import { complete } from "../../settings.ts";
import { print, say } from "../../terminal.ts";
import { type PredictGiven, predictCommand } from "./command.ts";

interface Candidate {
  readonly class: string;
  readonly probability: number;
}

export async function run(given: PredictGiven): Promise<number> {
  const { json } = given;
  const { model, pictures } = sources(given);
  const { device, threads } = complete(predictCommand.settings, given);
  const bytes = await readFileBytes(model);
  const metadata = decodeMetadata(bytes, model);
  const classNames = classNamesIn(metadata, say);
  const background = backgroundIn(metadata);
  const classifier = await openClassifier(
    bytes,
    await openDevice(device, { threads }),
    model,
    feedingFrom(given),
  );
  const found: { picture: string; candidates: readonly Candidate[] }[] = [];
  for (const picture of pictures) {
    const logits = await classifier.logits(await readPicture(picture, classifier.imageSize, background));
    found.push({ picture, candidates: ranked(floatData(logits), classNames) });
  }
  await classifier.release();
  if (json) {
    const predictions = found.map(({ picture, candidates: [first, ...others] }) => ({
      picture,
      ...first,
      runners_up: others.slice(0, 3),
    }));
    print(JSON.stringify({ model, predictions }));
    return 0;
  }
  const rows = found.map(({ picture, candidates }) => [
    picture,
    at(candidates, 0).class,
    percent(at(candidates, 0)),
    candidates
      .slice(1, 4)
      .map((other) => `${other.class} ${percent(other)}`)
      .join(", "),
  ]);
  print(formatTable(["picture", "class", "probability", "runners-up"], rows));
  return 0;
}

/** The model and the pictures that were named. Throws UserError where a model came without pictures. */
function sources({ model, pictures = [] }: PredictGiven): { model: string; pictures: readonly string[] } {
  const [first = "", ...others] = pictures;
  if (model !== undefined) return { model, pictures };
  if (!/\.onnx$/i.test(first)) return { model: packagedModel, pictures };
  if (others.length > 0) return { model: first, pictures: others };
  throw new UserError(`shake predict needs pictures: see ${shakeCommand("predict", "--help")}.`, {
    code: "setting-missing",
    details: { setting: "pictures" },
  });
}

/** Every class with its probability, the likeliest first. */
function ranked(logits: Float32Array, classNames: readonly string[]): Candidate[] {
  const largest = logits.reduce((most, logit) => Math.max(most, logit), Number.NEGATIVE_INFINITY);
  const odds = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = odds.reduce((total, value) => total + value, 0);
  return odds
    .map((value, i) => ({ class: classNames[i] ?? `class ${i}`, probability: value / sum }))
    .sort((a, b) => b.probability - a.probability);
}

function percent({ probability }: Candidate): string {
  return `${(100 * probability).toFixed(2)} %`;
}
