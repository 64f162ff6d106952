import type { Checkpoint } from "../../../artifacts/index.ts";
import { parameterCount } from "../../../shakenet/index.ts";
import { formatFields, formatTable } from "../../format.ts";
import type { Report } from "./report.ts";

/** A checkpoint: its tensors and properties. */
export function inspectCheckpoint(checkpoint: Checkpoint): Report {
  const { trainable, frozen, optimizer, properties } = checkpoint;
  const known = Object.fromEntries(
    [...properties].map(([name, value]) => [name, typeof value === "bigint" ? Number(value) : value]),
  );
  const momenta = [...(optimizer?.momenta.values() ?? [])].flat().length;
  const facts = {
    kind: "checkpoint",
    parameters: parameterCount(checkpoint),
    trainable: Object.fromEntries([...trainable].map(([name, { dims }]) => [name, dims])),
    frozen: Object.fromEntries([...frozen].map(([name, { dims }]) => [name, dims])),
    momenta,
    properties: known,
  };
  const rows = [...trainable, ...frozen].map(([name, { elemType, dims, data }]) => [
    name,
    `${elemType}[${dims.join(", ")}]`,
    data.length,
    frozen.has(name) ? "statistic" : "parameter",
  ]);
  const text = [
    formatFields({
      checkpoint: "ONNX Runtime training checkpoint, version 2",
      parameters: facts.parameters,
      tensors: `${trainable.size} trainable, ${frozen.size} frozen, ${momenta} momenta`,
      updates: optimizer?.step ?? 0,
    }),
    "",
    formatTable(["tensor", "type", "values", "kind"], rows),
    "",
    formatFields(Object.fromEntries(Object.entries(known).map(([name, value]) => [name, String(value)]))),
  ].join("\n");
  return { facts, text };
}
