import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { InferenceSession } from "onnxruntime-common";
import { flopsOf, type Graph, type Node, type Value } from "../../graph-builder/index.ts";
import type { Device } from "../device/device.ts";

/** The time of an operator's kernels in a step, summed over its nodes. */
export interface OperatorTime {
  /** The op_type; convolutions and matrix products add what they compute: forward, dX or dW. */
  readonly operator: string;
  /** Per step. */
  readonly calls: number;
  readonly milliseconds: number;
  /** Per step, for convolutions and matrix products: all FLOPs that the kernels execute, needed or not. */
  readonly flops: number | undefined;
}

/** The model and the number of steps of the profiled sessions. */
export interface ProfiledSteps {
  /** The training model after lowering for the device. */
  readonly graph: Graph;
  readonly batchSize: number;
  /** The number of steps at the start that are not counted. */
  readonly warmup: number;
}

/** Collects ONNX Runtime's own profile of every session that is opened through `device`. Node only. */
export class Profiler {
  readonly device: Device;
  readonly #folder: string;
  readonly #sessions: InferenceSession[] = [];

  private constructor(device: Device, folder: string) {
    this.#folder = folder;
    const { ort } = device;
    const create = async (model: Uint8Array, options?: InferenceSession.SessionOptions) => {
      const profileFilePrefix = join(folder, String(this.#sessions.length));
      const profiling = { ...options, enableProfiling: true, profileFilePrefix };
      const session = await ort.InferenceSession.create(model, profiling);
      this.#sessions.push(session);
      return session;
    };
    const InferenceSession = { create } as typeof ort.InferenceSession;
    this.device = { ...device, ort: { ...ort, InferenceSession } };
  }

  /** Makes a temporary folder for the profiles, which `close` removes. */
  static async open(device: Device): Promise<Profiler> {
    return new Profiler(device, await mkdtemp(join(tmpdir(), "shake-profile-")));
  }

  /**
   * The times of the operators of all sessions, the slowest first. The sessions must still be open.
   */
  async finish({ graph, batchSize, warmup }: ProfiledSteps): Promise<OperatorTime[]> {
    const describe = describer(graph, batchSize);
    const totals = new Map<string, OperatorTime>();
    for (const [index, session] of this.#sessions.entries()) {
      session.endProfiling();
      const { kernels, runs } = await this.#readKernels(index, warmup);
      for (const { name, opType, milliseconds } of kernels) {
        const { operator, flops } = describe(name, opType);
        const total = totals.get(operator);
        totals.set(operator, {
          operator,
          calls: (total?.calls ?? 0) + 1 / runs,
          milliseconds: (total?.milliseconds ?? 0) + milliseconds / runs,
          flops: flops === undefined ? undefined : (total?.flops ?? 0) + flops / runs,
        });
      }
    }
    return [...totals.values()].sort((a, b) => b.milliseconds - a.milliseconds);
  }

  /** Removes the folder of the profiles. */
  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #readKernels(session: number, warmup: number): Promise<{ kernels: Kernel[]; runs: number }> {
    const file = (await readdir(this.#folder)).find((name) => name.startsWith(`${session}_`)) ?? "";
    const events = JSON.parse(await readFile(join(this.#folder, file), "utf8")) as TraceEvent[];
    const starts = events.filter(({ name }) => name === "model_run").map(({ ts }) => ts);
    const first = starts[warmup] ?? Number.POSITIVE_INFINITY;
    const kernels = events.filter(({ cat, ts }) => cat === "Node" && ts >= first);
    return {
      runs: starts.length - warmup,
      kernels: kernels.map(({ name, dur, args }) => ({
        name: name.replace(/_kernel_time$/, "").replace(/^fused /, ""),
        opType: args.op_name ?? "",
        milliseconds: dur / 1000,
      })),
    };
  }
}

/** A line of ONNX Runtime's trace; times in microseconds. */
interface TraceEvent {
  readonly cat: string;
  readonly name: string;
  readonly ts: number;
  readonly dur: number;
  readonly args: { readonly op_name?: string };
}

interface Kernel {
  readonly name: string;
  readonly opType: string;
  readonly milliseconds: number;
}

const products: ReadonlySet<string> = new Set([
  "Conv",
  "ConvTranspose",
  "NchwcConv",
  "MatMul",
  "Gemm",
  "FusedMatMul",
]);

/**
 * The label and FLOPs of a kernel by its node's name; nodes that ONNX Runtime adds have their op_type alone.
 */
function describer(graph: Graph, batchSize: number) {
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const data = dataValues(graph);
  return (name: string, opType: string): { operator: string; flops: number | undefined } => {
    const node = nodes.get(name);
    if (!node || !products.has(node.opType)) return { operator: node?.opType ?? opType, flops: undefined };
    return { operator: `${node.opType}, ${formOf(node, data)}`, flops: flopsOf(node, batchSize) };
  };
}

/**
 * The purpose of a convolution or matrix product. In the backward pass, a product of two values that depend
 * on the batch is a gradient of weights.
 */
function formOf(node: Node, data: ReadonlySet<Value>): string {
  if (/\bBatchNorm/.test(node.name)) return "batch normalization";
  if (node.phase !== "backward") return node.phase;
  return data.has(node.input(0)) && data.has(node.input(1)) ? "dW" : "dX";
}

/** The values that depend on an input with a batch axis: one whose size is a symbol. */
function dataValues(graph: Graph): ReadonlySet<Value> {
  const found = new Set(
    graph.inputs.filter(
      ({ type }) => type.kind === "tensor" && type.shape.some((dim) => typeof dim !== "number"),
    ),
  );
  for (const { inputs, outputs } of graph.nodes) {
    if (inputs.some((input) => input && found.has(input))) for (const output of outputs) found.add(output);
  }
  return found;
}
