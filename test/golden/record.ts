import { createHash } from "node:crypto";
import onnxProto from "onnx-proto";

const { onnx } = onnxProto;

/**
 * What is kept of an emitted file: its digest, and for a model one line a part (opset, metadata entry, function, input,
 * output, initializer, node), so that a changed file shows the first part that changed.
 */
export function recordOf(name: string, bytes: Uint8Array): string {
  const head = `sha256 ${createHash("sha256").update(bytes).digest("hex")} of ${bytes.length} bytes`;
  const parts = name.endsWith(".onnx") ? partsOf(bytes) : [];
  return `${[head, ...parts].join("\n")}\n`;
}

function partsOf(bytes: Uint8Array): string[] {
  const model = onnx.ModelProto.decode(bytes);
  const graph = model.graph ?? {};
  const named = (kind: string, list: readonly { name?: string | null }[] | null | undefined) =>
    (list ?? []).map((item) => `${kind} ${item.name} ${shortHash(item)}`);
  return [
    `ir ${model.irVersion} producer ${model.producerName} doc ${shortHash(model.docString)}`,
    ...(model.opsetImport ?? []).map(({ domain, version }) => `opset ${domain || "ai.onnx"} ${version}`),
    ...(model.metadataProps ?? []).map(({ key, value }) => `metadata ${key} ${shortHash(value)}`),
    ...named("function", model.functions),
    ...named("input", graph.input),
    ...named("output", graph.output),
    ...named("initializer", graph.initializer),
    ...(graph.node ?? []).map((node, i) => `node ${i} ${node.opType} ${node.name} ${shortHash(node)}`),
    `value_info ${shortHash(graph.valueInfo)}`,
  ];
}

function shortHash(part: unknown): string {
  const text = JSON.stringify(part, (_, value) =>
    value instanceof Uint8Array ? Buffer.from(value).toString("base64") : value,
  );
  return createHash("sha256")
    .update(text ?? "")
    .digest("hex")
    .slice(0, 10);
}
