import type * as Ort from "onnxruntime-common";
import {
  createBuilder,
  createModel,
  encodeModel,
  Graph,
  RandomStream,
  Tensor,
} from "../../graph-builder/index.ts";
import { blockedWeights } from "../../graph-builder/lowerings/nchwc-convolution.ts";
import type { OnnxRuntime } from "./inference-device.ts";
import { toOrtTensor } from "./tensors.ts";

/** Two blocks of channels on a machine with AVX-512, four with AVX2. */
const CHANNELS = 32;

/**
 * The block size of ONNX Runtime's blocked CPU layout (NCHWc) on this machine: 16 channels with AVX-512, 8
 * with AVX2. Undefined where the machine has no such kernels, and where their convolution differs from
 * the plain one.
 */
export async function blockSize(ort: OnnxRuntime): Promise<number | undefined> {
  try {
    const size = await reportedSize(ort);
    return (await convolvesAlike(ort, size)) ? size : undefined;
  } catch {
    return undefined;
  }
}

/** The channels of a reordered tensor of 4 channels: the layout pads them to a whole block. */
async function reportedSize(ort: OnnxRuntime): Promise<number> {
  const g = createBuilder(new Graph("probe"));
  g.output(g.ReorderInput(g.input("X", "float", [1, 4, 1, 1])), "Y");
  const { Y } = await run(ort, g.graph, { X: random("X", [1, 4, 1, 1]) });
  return Number(Y?.dims[1]);
}

async function convolvesAlike(ort: OnnxRuntime, size: number): Promise<boolean> {
  const g = createBuilder(new Graph("probe"));
  const X = g.input("X", "float", [1, CHANNELS, 3, 3]);
  const W = g.input("W", "float", [CHANNELS, CHANNELS, 3, 3]);
  const blocked = g.NchwcConv(g.ReorderInput(X), blockedWeights(g, W, size), { pads: [1, 1, 1, 1] });
  g.output(g.ReorderOutput(blocked, { channels: CHANNELS }), "blocked");
  g.output(g.Conv(X, W, { pads: [1, 1, 1, 1] }), "plain");
  const feeds = { X: random("X", [1, CHANNELS, 3, 3]), W: random("W", [CHANNELS, CHANNELS, 3, 3]) };
  const results = await run(ort, g.graph, feeds);
  const [actual, expected] = [results.blocked?.data, results.plain?.data] as Float32Array[];
  return expected?.every((value, i) => Math.abs(value - (actual?.[i] ?? Number.NaN)) < 1e-3) ?? false;
}

async function run(
  ort: OnnxRuntime,
  graph: Graph,
  tensors: Readonly<Record<string, Tensor>>,
): Promise<Readonly<Record<string, Ort.Tensor>>> {
  const session = await ort.InferenceSession.create(encodeModel(createModel(graph)), {
    executionProviders: ["cpu"],
    logSeverityLevel: 4,
    intraOpNumThreads: 1,
  });
  const feeds = Object.entries(tensors).map(([name, tensor]) => [name, toOrtTensor(tensor, ort)]);
  const results = await session.run(Object.fromEntries(feeds));
  await session.release();
  return results;
}

function random(name: string, dims: readonly number[]): Tensor {
  const data = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
  new RandomStream(1, `probe/${name}`).fillNormal(data);
  return new Tensor("float", dims, data);
}
