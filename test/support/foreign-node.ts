import * as ort from "onnxruntime-node";
import { type Builder, Tensor, type Value } from "../../graph-builder/index.ts";
import { encodeAttribute } from "../../graph-builder/onnx/attributes.ts";
import { importNode } from "../../graph-builder/onnx/import-forms/index.ts";
import { encodeTensor } from "../../graph-builder/onnx/tensors.ts";
import { encodeType } from "../../graph-builder/onnx/type-proto.ts";
import { encodeMessage } from "../../graph-builder/onnx/wire.ts";
import type { AttributeKind } from "../../graph-builder/operators/schema.ts";
import { tensorType } from "../../graph-builder/types.ts";
import { fromOrtTensor, toOrtTensor } from "../../runtime/device/tensors.ts";
import type { Case } from "./check-gradient.ts";
import type { Input } from "./random-tensor.ts";

/** A node in the form of some opset, as another program's file has it. */
export interface ForeignNode {
  readonly opType: string;
  readonly domain?: string;
  readonly opset: number;
  /** In order: an input of the graph, a constant, or null for one that is left out. */
  readonly inputs: readonly (readonly [name: string, value: Input | Tensor | null])[];
  readonly attributes?: Readonly<Record<string, readonly [Exclude<AttributeKind, "graph">, unknown]>>;
  /** The number of outputs; null for one that is left out. */
  readonly outputs?: readonly (string | null)[];
}

const outputsOf = ({ outputs = ["Y"] }: ForeignNode) => outputs;

/** A file whose graph is the node alone. */
export function fileOf(node: ForeignNode): Uint8Array {
  const { opType, domain = "", opset, inputs, attributes = {} } = node;
  const own = inputs.flatMap(([name, value]) =>
    value && !(value instanceof Tensor)
      ? [{ name, type: encodeType(tensorType(value.tensor.elemType, value.shape)) }]
      : [],
  );
  return encodeMessage("ModelProto", {
    irVersion: 8,
    opsetImport: [
      { domain: "", version: domain === "" ? opset : 17 },
      ...(domain === "" ? [] : [{ domain, version: opset }]),
    ],
    graph: {
      name: "foreign",
      input: own,
      initializer: inputs.flatMap(([name, value]) =>
        value instanceof Tensor ? [encodeTensor(value, name)] : [],
      ),
      output: outputsOf(node).flatMap((name) => (name === null ? [] : [{ name }])),
      node: [
        {
          name: "node",
          opType,
          domain,
          input: inputs.map(([name, value]) => (value ? name : "")),
          output: outputsOf(node).map((name) => name ?? ""),
          attribute: Object.entries(attributes).map(([name, [kind, value]]) =>
            encodeAttribute(name, kind, value),
          ),
        },
      ],
    },
  });
}

/** The tensors of the node's graph inputs. */
export function feedsOf({ inputs }: ForeignNode): Record<string, Tensor> {
  return Object.fromEntries(
    inputs.flatMap(([name, value]) => (value && !(value instanceof Tensor) ? [[name, value.tensor]] : [])),
  );
}

/** What ONNX Runtime's own kernel computes. */
export async function runFile(node: ForeignNode): Promise<Record<string, Tensor>> {
  const session = await ort.InferenceSession.create(fileOf(node), { logSeverityLevel: 4 });
  const feeds = Object.entries(feedsOf(node)).map(([name, tensor]) => [name, toOrtTensor(tensor, ort)]);
  const results = await session.run(Object.fromEntries(feeds));
  await session.release();
  return Object.fromEntries(Object.entries(results).map(([name, result]) => [name, fromOrtTensor(result)]));
}

/** A gradient check of what the node is read as. */
export function caseOf(node: ForeignNode, more: Partial<Omit<Case, "inputs" | "build">> = {}): Case {
  const inputs = node.inputs.flatMap(([name, value]) =>
    value && !(value instanceof Tensor) ? [[name, value] as const] : [],
  );
  return { ...more, inputs: Object.fromEntries(inputs), build: (g, values) => readNode(g, node, values) };
}

function readNode(g: Builder, node: ForeignNode, values: Readonly<Record<string, Value>>): Value[] {
  const { opType, domain = "", opset, attributes = {} } = node;
  const outputs = importNode(g, {
    opType,
    domain,
    opset,
    name: "node",
    inputs: node.inputs.map(([name, value]) =>
      value instanceof Tensor ? g.constant(value) : (values[name] ?? null),
    ),
    attributes: Object.fromEntries(Object.entries(attributes).map(([name, [, value]]) => [name, value])),
    outputs: outputsOf(node).map((name) => name ?? ""),
    declared: outputsOf(node).map(() => undefined),
  });
  return outputsOf(node).flatMap((name, i) => {
    const output = outputs[i];
    return name !== null && output ? [output] : [];
  });
}
