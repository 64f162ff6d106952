import { counted } from "../../../artifacts/counted.ts";
import { stepsPerEpoch } from "../../../runtime/data/batches.ts";
import { describeData } from "../../../runtime/data/dataset.ts";
import { measuredPart } from "../../data/part-name.ts";
import { formatFields, formatLarge } from "../../format.ts";
import type { DataSets, Subject, TrainConfig } from "./prepared-run.ts";

/** What a run is about to do, as lines of names and values. */
export function describeRun(
  path: string | undefined,
  { config, description, manifest: { parameters, cost } }: Subject,
  { trainSet, testSet }: DataSets,
): string {
  const steps = stepsPerEpoch(trainSet, config.batchSize);
  const batch = config.lastBatch === "spread" ? Math.ceil(trainSet.count / steps) : config.batchSize;
  const [training, measured] = [trainSet, testSet].map(({ count }) => count.toLocaleString("en-US"));
  return formatFields({
    recipe: description.recipe,
    network: `${description.network}, ${counted(parameters, "parameter")}`,
    "FLOPs an image": `${formatLarge(cost.forwardFlops)} forward, ${formatLarge(cost.backwardFlops)} backward`,
    data: `${describeData(config).title}, ${training} training and ${measured} ${measuredPart(config)} images`,
    training: `${counted(config.epochs, "epoch")} of ${counted(steps, "step")}, batch ${batch}, learning rate ${config.learningRate}, ${description.optimizer}`,
    device: describeDevice(config),
    run: path,
  });
}

function describeDevice({ engine, device, replicas, ranks = 1 }: TrainConfig): string {
  if (engine === "ort-training") return "cpu, by ONNX Runtime 1.19.2's own training";
  if (ranks > 1) return `${device}, ${ranks} ranks${replicas > 1 ? ` of ${replicas} replicas` : ""}`;
  return replicas > 1 ? `${device}, ${replicas} replicas` : device;
}
