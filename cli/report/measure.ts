import type { Tensor } from "onnxruntime-common";
import { resizer } from "../../runtime/data/resize.ts";
import {
  type Dataset,
  type EvaluationBatch,
  type EvaluationProgress,
  type Predictions,
  pixelsOf,
  predictAll,
  resultOf,
  type ScoredImage,
  scoredImages,
  surestAnswers,
  worstMistakes,
} from "../../runtime/index.ts";
import type { MeasuredFacts, MeasuredPart, Tile } from "./facts.ts";
import { encodePng } from "./png.ts";

/** The pictures of a report. */
const [mostMistakes, mostAnswers] = [24, 12];

/** The longest side of a picture in a report, in pixels. */
const LONGEST = 160;

/** What is measured: pictures of a part of a data set, and the network that `logitsOf` runs. */
export interface Measurement {
  /** The checkpoint or the model. */
  readonly what: string;
  readonly dataset: Dataset;
  readonly part: MeasuredPart;
  readonly batchSize: number;
  readonly logitsOf: (batch: EvaluationBatch) => Promise<Tensor>;
  readonly trainCounts: readonly number[] | undefined;
}

/** Runs a network on all pictures. Returns what it says of them, and what a report shows of that. */
export async function measure(
  { what, dataset, part, batchSize, logitsOf, trainCounts }: Measurement,
  onProgress: (progress: EvaluationProgress) => void,
): Promise<{ readonly predictions: Predictions; readonly facts: MeasuredFacts }> {
  const predictions = await resultOf(predictAll(dataset, batchSize, logitsOf), onProgress);
  const images = scoredImages(predictions, dataset);
  const tiles = (shown: readonly ScoredImage[]) => shown.map((image) => tileOf(image, dataset));
  const facts = {
    what,
    data: dataset.name,
    part,
    classNames: dataset.classNames,
    evaluation: predictions.evaluation,
    mistakes: tiles(worstMistakes(images, mostMistakes)),
    surest: tiles(surestAnswers(images, mostAnswers)),
    trainCounts,
  };
  return { predictions, facts };
}

/** The number of images of each class. */
export function countsOf(labels: Iterable<number>, classes: number): number[] {
  const counts = new Array<number>(classes).fill(0);
  for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
  return counts;
}

function tileOf({ index, label, predicted, confidence, loss }: ScoredImage, dataset: Dataset): Tile {
  const { size, images, classNames, paths } = dataset;
  const pixels = pixelsOf(size);
  const image = images.subarray(index * pixels, (index + 1) * pixels);
  const scale = Math.min(1, LONGEST / Math.max(size.height, size.width));
  const shown = {
    ...size,
    height: Math.max(1, Math.round(scale * size.height)),
    width: Math.max(1, Math.round(scale * size.width)),
  };
  const png = encodePng(scale < 1 ? resizer(size, shown)(image) : image, shown);
  return {
    source: `data:image/png;base64,${png.toString("base64")}`,
    side: Math.max(shown.height, shown.width),
    name: paths?.[index] ?? `image ${index}`,
    label: classNames[label] ?? `class ${label}`,
    predicted: classNames[predicted] ?? `class ${predicted}`,
    confidence,
    labelProbability: Math.exp(-loss),
  };
}
