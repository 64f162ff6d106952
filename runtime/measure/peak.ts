import { createBuilder, createModel, encodeModel, Graph, RandomStream } from "../../graph-builder/index.ts";
import type { Device } from "../device/device.ts";

const SIZE = 1024;
const CHAIN = 4;
const RUNS = 12;

/**
 * The best rate of large float32 matrix products on a device, in GFLOP/s: the fastest of twelve runs of four
 * products of 1024 x 1024 matrices, by ONNX Runtime and on as many threads as the device was opened with.
 * Real kernels can reach that rate. It is a little below the hardware's arithmetic peak, which ignores loads.
 */
export async function measurePeak({ ort, sessionOptions }: Device): Promise<number> {
  const g = createBuilder(new Graph("peak"));
  const B = g.input("B", "float", [SIZE, SIZE]);
  let product = g.input("A", "float", [SIZE, SIZE]);
  for (let i = 0; i < CHAIN; i++) product = g.MatMul(product, B);
  g.output(product, "product");
  const session = await ort.InferenceSession.create(encodeModel(createModel(g.graph)), sessionOptions);
  const feeds = {
    A: new ort.Tensor("float32", matrix("A"), [SIZE, SIZE]),
    B: new ort.Tensor("float32", matrix("B"), [SIZE, SIZE]),
  };
  let fastest = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    const { product: result } = await session.run(feeds);
    fastest = Math.min(fastest, performance.now() - start);
    result?.dispose();
  }
  await session.release();
  return (CHAIN * 2 * SIZE ** 3) / (1e6 * fastest);
}

/** Normal values of variance 1 / 1024, so that a product with them keeps its scale. */
function matrix(name: string): Float32Array<ArrayBuffer> {
  const values = new Float32Array(SIZE * SIZE);
  new RandomStream(0, name).fillNormal(values);
  return values.map((value) => value / Math.sqrt(SIZE));
}
