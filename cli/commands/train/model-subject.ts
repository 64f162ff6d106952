import { artifactFiles, type Manifest, type TrainingArtifacts } from "../../../artifacts/index.ts";
import {
  costOf,
  decodeModel,
  type Graph,
  type InputSizes,
  sizedInputs,
  UserError,
} from "../../../graph-builder/index.ts";
import { describeData } from "../../../runtime/data/dataset.ts";
import { firstImages } from "../../../runtime/data/types.ts";
import { type Dataset, pictureTask } from "../../../runtime/index.ts";
import { openEngine, trainingSources } from "../../../runtime/node/run/engine.ts";
import { augmentationOf, earlySizeOf, mixingOf } from "../../../shakenet/node/loop-settings.ts";
import { classifierOf } from "../../models/classifier.ts";
import type { Feeding } from "../../models/feeding.ts";
import { modelOf } from "../../models/model-run.ts";
import { feedingHint } from "../../models/pixel-advice.ts";
import { openScalingClassifier } from "../../models/scaling-classifier.ts";
import type { ModelConfig } from "../../models/settings.ts";
import type { Subject } from "./prepared-run.ts";

/** A model that came from a file, in training. */
export function modelSubject(config: ModelConfig, artifacts: TrainingArtifacts): Subject {
  const { manifest, checkpoint, trainingModel, evalModel } = artifacts;
  const { feeding } = config;
  const { graph } = decodeModel(trainingModel, artifactFiles.trainingModel);
  const sizes = { inputSizes: inputSizes(config), batch: batchSymbol(graph, feeding) };
  return {
    config,
    manifest: { ...manifest, cost: costOfImage(graph, manifest, feeding) },
    artifacts,
    checkpoint,
    description: descriptionOf(config),
    limit: (trainSet) => wholeBatches(trainSet, feeding.batch),
    openEngine: async (bytes, link) => {
      const sources = trainingSources({ ...artifacts, checkpoint: bytes });
      const engine = await openEngine(sources, config, { ...sizes, link });
      return { ...engine, layOut: (saved) => saved };
    },
    taskOf: (sets, device, link) =>
      pictureTask(
        {
          ...config,
          ...sets,
          device,
          link,
          augmentation: augmentationOf(config),
          mixing: mixingOf({ ...config, classes: feeding.classes }),
          earlySize: earlySizeOf(config),
        },
        classifierOf(feeding, evalModel),
      ),
    hint: (step) => feedingHint(step, feeding),
    freeze: (trained, _, testAccuracy) => modelOf(artifacts, trained, config, testAccuracy),
    openClassifier: (bytes, device) =>
      openScalingClassifier(bytes, device, "the model", describeData(config).size),
  };
}

function descriptionOf({ feeding, model }: ModelConfig): Subject["description"] {
  const { layout, channels, height, width, pixels } = feeding;
  const size = layout === "nchw" ? [channels, height, width] : [height, width, channels];
  return {
    title: model,
    file: `${model}.onnx`,
    network: `${model}, pictures ${size.join(" x ")} fed ${pixels}`,
    optimizer: "the optimizer of the artifacts",
  };
}

/** The cost of one picture of the size that a run feeds. The manifest's is for the sizes of the file. */
function costOfImage(graph: Graph, manifest: Manifest, feeding: Feeding): Manifest["cost"] {
  const { input, batch = 1, height, width } = feeding;
  const [, ...dims] = graph.inputs.find(({ name }) => name === input)?.shape ?? [];
  const isSized = dims.every((dim) => typeof dim === "number");
  const cost = isSized ? manifest.cost : costOf(sizedInputs(sizesOf(feeding, height, width)).run(graph));
  return {
    forwardFlops: cost.forwardFlops / batch,
    backwardFlops: cost.backwardFlops / batch,
    activationBytes: cost.activationBytes / batch,
  };
}

/** The symbol of the batch's axis; undefined where pictures and labels have none in common. */
export function batchSymbol(
  { inputs }: Graph,
  { input, labels }: Pick<Feeding, "input" | "labels">,
): string | undefined {
  const [own, other] = [input, labels].map((name) => inputs.find((each) => each.name === name)?.shape[0]);
  return typeof own === "object" && String(own) === String(other) ? String(own) : undefined;
}

/** The sizes of the pictures that a run feeds; undefined where that is one. */
function inputSizes({ feeding, earlySize }: ModelConfig): InputSizes[] | undefined {
  if (earlySize === undefined) return undefined;
  const { height, width } = feeding;
  return [sizesOf(feeding, height, width), sizesOf(feeding, earlySize, earlySize)];
}

function sizesOf({ input, layout, channels }: Feeding, rows: number, columns: number): InputSizes {
  return { [input]: layout === "nchw" ? [null, channels, rows, columns] : [null, rows, columns, channels] };
}

/**
 * The part of a data set that makes whole batches of a fixed number. Throws UserError where that is nothing.
 */
function wholeBatches(dataset: Dataset, batch = 1): Dataset {
  const count = dataset.count - (dataset.count % batch);
  if (count === dataset.count) return dataset;
  if (count === 0) {
    throw new UserError(`The model takes ${batch} pictures at a time, and there are ${dataset.count}.`, {
      code: "data-mismatch",
      details: { batch, images: dataset.count },
    });
  }
  return firstImages(dataset, count);
}
