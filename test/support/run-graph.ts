import * as ort from "onnxruntime-node";
import {
  createModel,
  encodeModel,
  type Graph,
  type Lowering,
  lowerGraph,
  portable,
  type Tensor,
} from "../../graph-builder/index.ts";
import { fromOrtTensor, toOrtTensor } from "../../runtime/device/tensors.ts";

export type Feeds = Readonly<Record<string, Tensor>>;

/** A graph that is open on the CPU of onnxruntime-node. Call `release` at the end. */
export interface OpenGraph {
  run(feeds: Feeds): Promise<Record<string, Tensor>>;
  release(): Promise<void>;
}

/** Lowers and encodes a graph and opens it with one thread. */
export async function openGraph(graph: Graph, lowering: Lowering = portable): Promise<OpenGraph> {
  const bytes = encodeModel(createModel(lowerGraph(graph, lowering)));
  const session = await ort.InferenceSession.create(bytes, {
    logSeverityLevel: 3,
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
  });
  return {
    async run(feeds) {
      const wanted = Object.entries(feeds).filter(([name]) => session.inputNames.includes(name));
      const results = await session.run(
        Object.fromEntries(wanted.map(([name, tensor]) => [name, toOrtTensor(tensor, ort)])),
      );
      return Object.fromEntries(
        Object.entries(results).map(([name, result]) => [name, fromOrtTensor(result)]),
      );
    },
    release: () => session.release(),
  };
}

/** Runs a graph once. Returns its outputs. */
export async function runGraph(
  graph: Graph,
  feeds: Feeds,
  lowering?: Lowering,
): Promise<Record<string, Tensor>> {
  const open = await openGraph(graph, lowering);
  try {
    return await open.run(feeds);
  } finally {
    await open.release();
  }
}

/** The elements of an output. Throws Error where the graph has no such output. */
export function numbersOf(results: Feeds, name: string): number[] {
  const tensor = results[name];
  if (!tensor) throw new Error(`the graph returned no ${name}`);
  return tensor.numbers();
}
