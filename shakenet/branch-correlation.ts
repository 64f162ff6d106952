import type { Checkpoint } from "../artifacts/checkpoint.ts";
import { at } from "../graph-builder/at.ts";
import { type Builder, createModel, encodeModel, type Value } from "../graph-builder/index.ts";
import { evalBatches } from "../runtime/data/batches.ts";
import type { Dataset } from "../runtime/data/types.ts";
import type { Device } from "../runtime/device/device.ts";
import type { EvaluationProgress } from "../runtime/loop/task.ts";
import { trainedGraph } from "./inference-model.ts";
import { blockCount, type NetworkSettings } from "./network.ts";

/** The output with the moments of all blocks, float [blocks, 5]. */
const MOMENTS = "moments";

/**
 * The correlation of the two branches of every block over the images of a data set (Gastaldi 2017, section
 * 4.1 and Fig. 3): the outputs of both branches are flattened, and their covariance over all numbers of all
 * images is divided by their standard deviations. Yields how far it is.
 */
export async function* branchCorrelations(
  settings: NetworkSettings,
  checkpoint: Checkpoint,
  dataset: Dataset,
  batchSize: number,
  device: Device,
): AsyncGenerator<EvaluationProgress, number[]> {
  const session = await device.ort.InferenceSession.create(
    momentsModel(settings, checkpoint),
    device.sessionOptions,
  );
  const { channels, height, width } = dataset.size;
  const sums = Array.from({ length: blockCount(settings) }, () => [0, 0, 0, 0, 0]);
  let done = 0;
  try {
    for (const { images, labels } of evalBatches(dataset, batchSize)) {
      const count = labels.length;
      const pixels = new device.ort.Tensor("float32", Float32Array.from(images), [
        count,
        channels,
        height,
        width,
      ]);
      const found = (await session.run({ images: pixels }, [MOMENTS]))[MOMENTS];
      for (const [block, moments] of sums.entries()) {
        for (const i of moments.keys()) {
          moments[i] = at(moments, i) + (count / dataset.count) * Number(found?.data[5 * block + i]);
        }
      }
      done += count;
      yield { done, of: dataset.count };
    }
  } finally {
    await session.release();
  }
  return sums.map(correlationOf);
}

/** The correlation of a and b from the means of a, b, a a, b b and a b. */
function correlationOf([a = 0, b = 0, aa = 0, bb = 0, ab = 0]: readonly number[]): number {
  return (ab - a * b) / Math.sqrt((aa - a * a) * (bb - b * b));
}

/** The network with the means of both branches, of their squares and of their product as its output. */
function momentsModel(settings: NetworkSettings, checkpoint: Checkpoint): Uint8Array {
  const rows: Value[] = [];
  const graph = trainedGraph(settings, checkpoint, {}, (g, branch1, branch2) => {
    const products: readonly (readonly [Value, Value?])[] = [
      [branch1],
      [branch2],
      [branch1, branch1],
      [branch2, branch2],
      [branch1, branch2],
    ];
    rows.push(g.Concat(...products.map(([x, y]) => meanOf(g, y ? g.Mul(x, y) : x)), { axis: 0 }));
    if (rows.length === blockCount(settings)) {
      const all = g.Concat(...rows, { axis: 0 });
      g.output(g.Reshape(all, g.int64([rows.length, 5])), MOMENTS);
    }
  });
  return encodeModel(createModel(graph));
}

function meanOf(g: Builder, value: Value): Value {
  return g.Reshape(g.ReduceMean(value, { keepdims: 0 }), g.int64([1]));
}
