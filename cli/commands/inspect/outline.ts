import type { Outline } from "../../../graph-builder/index.ts";
import { formatFields, formatTable } from "../../format.ts";
import type { Report } from "./report.ts";

/** A model that the compiler refuses: the facts in its file, and the reason of the refusal. */
export function inspectOutline(outline: Outline, refusal: string): Report {
  const { graph, docString, producerName, irVersion, opsets, inputs, outputs } = outline;
  const { operators, nodes, initializers, metadataProps } = outline;
  const facts = {
    kind: "model",
    graph,
    description: docString,
    producer: producerName,
    ir_version: irVersion,
    opsets,
    inputs,
    outputs,
    nodes,
    operators,
    initializers,
    metadata: metadataProps,
    not_covered: refusal,
  };
  const list = (values: Readonly<Record<string, string>>) =>
    Object.entries(values)
      .map(([name, type]) => `${name} ${type}`)
      .join("; ");
  const versions = Object.entries(opsets).map(([domain, version]) => `${domain || "ai.onnx"} ${version}`);
  const text = [
    formatFields({
      model: docString || graph,
      format: `IR ${irVersion}, opsets ${versions.join(", ")}, by ${producerName || "unknown"}`,
      inputs: list(inputs),
      outputs: list(outputs),
      nodes,
      initializers: `${initializers.tensors.toLocaleString("en-US")} tensors, ${initializers.values.toLocaleString("en-US")} values`,
    }),
    "",
    formatTable(["operator", "nodes"], Object.entries(operators)),
    ...(Object.keys(metadataProps).length > 0 ? ["", formatFields(metadataProps)] : []),
    "",
    `${refusal} Its layers and cost are not known.`,
  ].join("\n");
  return { facts, text, refusal };
}
