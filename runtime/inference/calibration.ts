import {
  copyGraph,
  createModel,
  encodeModel,
  type Graph,
  nameValues,
  type Range,
} from "../../graph-builder/index.ts";
import type { Device } from "../device/device.ts";
import { floatData } from "../device/tensors.ts";
import { Classifier, type InputFills } from "./classifier.ts";

/** The number of images of a run. */
const BATCH = 32;

/**
 * Measures the range of every float value of a frozen graph over some images, raw pixels uint8 [count,
 * channels, height, width].
 * Returns the ranges by the names of the values in the graph's file. A range always holds 0. The graph must
 * take any number of images. `fills` are for its other inputs.
 */
export async function calibrate(
  graph: Graph,
  { images, count }: { readonly images: Uint8Array; readonly count: number },
  device: Device,
  fills: InputFills = {},
): Promise<Map<string, Range>> {
  const model = encodeModel(createModel(observed(graph)));
  const classifier = await Classifier.open(model, device, graph.name, { fills });
  const ranges = new Map<string, Range>();
  const pixels = images.length / count;
  try {
    for (let first = 0; first < count; first += BATCH) {
      const results = await classifier.run(images.subarray(first * pixels, (first + BATCH) * pixels));
      for (const [name, tensor] of Object.entries(results)) {
        ranges.set(name, widen(ranges.get(name), floatData(tensor)));
      }
    }
  } finally {
    await classifier.release();
  }
  return ranges;
}

/**
 * The same graph with every float value that a node reads as an output, under its name in the file. The
 * statistics of a BatchNormalization, which nothing reads, exist in training alone.
 */
function observed(graph: Graph): Graph {
  const copy = copyGraph(graph);
  for (const [value, name] of nameValues(copy)) {
    if (
      !value.producer ||
      value.elemType !== "float" ||
      value.uses.length === 0 ||
      copy.outputs.includes(value)
    )
      continue;
    value.name = name;
    copy.outputs.push(value);
  }
  return copy;
}

function widen({ min, max }: Range = { min: 0, max: 0 }, values: Float32Array): Range {
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}
