import { type ArtifactBytes, decodeCheckpoint } from "../../artifacts/index.ts";
import { bindingsOf, decodeModel, type Graph, UserError, type Value } from "../../graph-builder/index.ts";
import {
  type PictureFeeding,
  type PictureInput,
  pictureInput,
  type TrainedClassifier,
} from "../../runtime/index.ts";
import { expectPictureChannels } from "../../runtime/node/data/pictures.ts";
import { scalePictures } from "../../runtime/node/index.ts";
import type { Feeding } from "./feeding.ts";

/**
 * How a classifier's artifacts are fed. Throws UserError where they do not train a classifier of pictures by
 * cross-entropy.
 */
export function feedingOf(
  { trainingModel, evalModel, checkpoint }: ArtifactBytes,
  loss: unknown,
  feeding: PictureFeeding,
): Feeding {
  const where = "training_model.onnx";
  const model = decodeModel(trainingModel, where);
  const { trainable, frozen } = decodeCheckpoint(checkpoint, "checkpoint");
  const tensors = { trainable: new Set(trainable.keys()), frozen: new Set(frozen.keys()) };
  const bound = new Set(bindingsOf(model, "training", tensors, where).map(({ input }) => input));
  expectCorrect(model.graph, loss);
  const fed = model.graph.inputs.filter(({ name }) => !bound.has(name ?? ""));
  const hard = fed.find(({ elemType, shape }) => elemType === "int64" && shape.length === 1);
  const labels = hard ?? fed.find(isScores);
  const [pictures, ...others] = fed.filter((input) => input !== labels);
  if (!labels || !pictures || others.length > 0) {
    const names = fed.map(({ name }) => name).join(", ");
    throw unfit(`it feeds pictures and their labels, and the training model takes ${names}`, {
      inputs: names,
    });
  }
  const scores = decodeModel(evalModel, "eval_model.onnx").graph.outputs.find(isScores);
  const classes = scores?.shape[1];
  if (!scores || typeof classes !== "number") {
    throw unfit("the evaluation model returns no scores, float [batch, classes]", {});
  }
  const { name, type, isNhwc, size, batch, pixels } = pictureInput(declared(pictures), feeding, "The model");
  expectPictureChannels(size.channels);
  const named = { input: name, labels: labels.name ?? "", scores: scores.name ?? "" };
  return {
    ...named,
    type,
    layout: isNhwc ? "nhwc" : "nchw",
    ...size,
    ...(batch ? { batch } : {}),
    pixels,
    classes,
    ...(hard ? {} : { softLabels: true }),
  };
}

function declared({ name = "", elemType, shape }: Value) {
  const dims = shape.map((dim) => (typeof dim === "number" ? dim : String(dim)));
  return { name, type: elemType === "float" ? "float32" : String(elemType), shape: dims };
}

function isScores({ type, elemType }: Value): boolean {
  return type.kind === "tensor" && elemType === "float" && type.shape.length === 2;
}

function expectCorrect({ outputs }: Graph, loss: unknown): void {
  const names = outputs.map(({ name }) => name);
  if (names.includes("loss") && names.includes("correct")) {
    if (!isSummed(loss)) return;
    // it would be told as a mean, and replicas take the mean of their gradients
    const reason = "the loss of these artifacts is a sum over a batch: make them with --reduction mean";
    throw unfit(reason, { loss });
  }
  const text = JSON.stringify(loss) ?? "unknown";
  const isAlone = !Array.isArray(loss) && text.includes("cross-entropy");
  throw unfit(
    isAlone
      ? "the training model does not return `correct`: make the artifacts with countCorrect, as shake build-graph does"
      : `the loss of these artifacts is ${text}`,
    { loss },
  );
}

/** Whether a loss in a manifest is summed over the batch. */
export function isSummed(loss: unknown): boolean {
  return typeof loss === "object" && loss !== null && "reduction" in loss && loss.reduction === "sum";
}

function unfit(reason: string, details: Readonly<Record<string, unknown>>): UserError {
  return new UserError(
    `shake train trains classifiers of pictures by cross-entropy, and ${reason}. Other models are trained from a program: docs/training-any-model.md.`,
    { code: "model-unsupported", details },
  );
}

/** The input of pictures that a feeding describes. */
export function inputOf({
  input: name,
  type,
  layout,
  channels,
  height,
  width,
  batch,
  pixels,
}: Feeding): PictureInput {
  return { name, type, isNhwc: layout === "nhwc", size: { channels, height, width }, batch, pixels };
}

/** The classifier that a feeding describes, with its evaluation model. */
export function classifierOf(feeding: Feeding, evalModel: Uint8Array): TrainedClassifier {
  const { labels, scores, softLabels, classes } = feeding;
  const soft = softLabels ? { softLabels: classes } : {};
  return { evalModel, input: inputOf(feeding), labels, ...soft, scores, scale: scalePictures };
}
