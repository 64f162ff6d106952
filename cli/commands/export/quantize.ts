import type { Checkpoint } from "../../../artifacts/index.ts";
import { type Graph, quantize, runPasses } from "../../../graph-builder/index.ts";
import { calibrate, type Dataset, type Device, evaluate, resultOf } from "../../../runtime/index.ts";
import {
  encodeInferenceModel,
  evenMixFill,
  inferenceGraph,
  openClassifier,
} from "../../../shakenet/index.ts";
import {
  checkpointSettings,
  type ExportForm,
  modelNotes,
  type Provenance,
} from "../../../shakenet/provenance.ts";
import type { Progress } from "../../progress.ts";

/** The accuracy on a data set before and after quantization to 8 bits, in percent. */
export interface QuantizationLoss {
  readonly images: number;
  readonly float32: number;
  readonly int8: number;
}

/**
 * A checkpoint as one .onnx that computes in 8 bits, calibrated on training images, and its accuracy loss on
 * test images.
 */
export async function quantizedModel(
  checkpoint: Checkpoint,
  where: string,
  about: Provenance,
  form: ExportForm,
  {
    device,
    trainSet,
    testSet,
    progress,
  }: {
    readonly device: Device;
    readonly trainSet: Dataset;
    readonly testSet: Dataset;
    readonly progress: Progress;
  },
): Promise<{ readonly bytes: Uint8Array; readonly loss: QuantizationLoss }> {
  const settings = checkpointSettings(checkpoint, where);
  const graph = inferenceGraph(settings, checkpoint, { ...form, precision: "float32" });
  const flexible = inferenceGraph(settings, checkpoint, { ...form, precision: "float32", batch: "dynamic" });
  const quantized = runPasses(graph, [quantize(await calibrate(flexible, trainSet, device, evenMixFill))]);
  const accuracy = (model: Graph) => accuracyOf(model, where, testSet, device, progress);
  const loss = { images: testSet.count, float32: await accuracy(graph), int8: await accuracy(quantized) };
  const notes = modelNotes(checkpoint, settings, about, form);
  const metadataProps = {
    ...notes.metadataProps,
    calibration: `range of ${trainSet.count} training images`,
    accuracy_loss: describeLoss(loss),
  };
  return { bytes: encodeInferenceModel(quantized, { ...notes, metadataProps }), loss };
}

/** The loss in percentage points, with both accuracies. */
export function describeLoss({ images, float32, int8 }: QuantizationLoss): string {
  const points = (float32 - int8).toFixed(2);
  return `${points} points: ${float32.toFixed(2)} % to ${int8.toFixed(2)} % on ${images.toLocaleString("en-US")} test images`;
}

async function accuracyOf(
  graph: Graph,
  where: string,
  testSet: Dataset,
  device: Device,
  progress: Progress,
): Promise<number> {
  const classifier = await openClassifier(encodeInferenceModel(graph), device, where);
  try {
    const evaluation = evaluate(testSet, 64, ({ images }) => classifier.logits(images));
    const { accuracy } = await resultOf(evaluation, ({ done, of }) =>
      progress.update(done, of, `testing ${done} of ${of}`),
    );
    return accuracy;
  } finally {
    progress.stop();
    await classifier.release();
  }
}
