import { stat } from "node:fs/promises";
import { join } from "node:path";
import { artifactFiles, type Checkpoint, decodeCheckpoint, readFileBytes } from "../../artifacts/index.ts";
import {
  costOf,
  decodeModel,
  elementCount,
  flopsOf,
  formatType,
  type Graph,
  isBackward,
  type Model,
  type Node,
  printGraph,
  UserError,
  type Value,
} from "../../graph-builder/index.ts";
import { networkName, parameterCount } from "../../shakenet/index.ts";
import type { Command } from "../flags.ts";
import { RunDirectory } from "../run-directory.ts";
import { formatFields, formatLarge, formatTable } from "../tables.ts";

const settings = ["file", "graph", "config", "json"] as const;

/** What a file is, as `--json` prints it, and the same for people. */
interface Report {
  readonly facts: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly model?: Model;
}

/** `shake inspect`: what is in a model, a checkpoint, a run or an artifacts folder. */
export const inspectCommand: Command<(typeof settings)[number]> = {
  settings,
  positional: "file",
  async run({ file = "", graph, json }) {
    const report = await inspect(file);
    if (graph && !report.model)
      throw new UserError(`${file} is no model: only a model has a graph to print.`);
    if (graph && report.model) process.stdout.write(`${printGraph(report.model.graph)}\n`);
    else process.stdout.write(json ? `${JSON.stringify(report.facts)}\n` : `${report.text}\n`);
    return 0;
  },
};

async function inspect(path: string): Promise<Report> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
  if (!isFolder) {
    const bytes = await readFileBytes(path);
    return isCheckpoint(bytes)
      ? inspectCheckpoint(decodeCheckpoint(bytes, path))
      : inspectModel(decodeModel(bytes, path));
  }
  const has = (name: string) =>
    stat(join(path, name)).then(
      () => true,
      () => false,
    );
  if (await has("config.json")) return inspectRun(await RunDirectory.open(path));
  if (await has(artifactFiles.trainingModel)) return inspectArtifacts(path);
  throw new UserError(`${path} is neither the folder of a run nor one that build-graph wrote.`);
}

/** FlatBuffers put a file's identifier behind its first offset. */
function isCheckpoint(bytes: Uint8Array): boolean {
  return new TextDecoder().decode(bytes.subarray(4, 8)) === "ODTC";
}

function inspectModel(model: Model): Report {
  const { graph, metadataProps } = model;
  const cost = costOf(graph);
  const data = graph.inputs.filter((input) => !isWeight(input.name ?? ""));
  const weights = [
    ...graph.inputs.filter((input) => isWeight(input.name ?? "")),
    ...graph.initializers,
  ].filter(({ name }) => isWeight(name ?? ""));
  const parameters = weights
    .filter(({ name }) => isParameter(name ?? ""))
    .reduce((sum, { type }) => sum + (type.kind === "tensor" ? elementCount(type.shape) : 0), 0);
  const facts = {
    kind: "model",
    graph: graph.name,
    description: model.docString,
    producer: model.producerName,
    ir_version: model.irVersion,
    opset: model.opset,
    inputs: Object.fromEntries(data.map(({ name, type }) => [name, formatType(type)])),
    outputs: Object.fromEntries(graph.outputs.map(({ name, type }) => [name, formatType(type)])),
    nodes: graph.nodes.length,
    operators: countOperators(graph),
    parameters,
    flops_per_image: { forward: cost.forwardFlops, backward: cost.backwardFlops },
    metadata: metadataProps,
  };
  const text = [
    formatFields({
      model: model.docString || graph.name,
      format: `IR ${model.irVersion}, opset ${model.opset}, by ${model.producerName || "unknown"}`,
      inputs: listValues(data),
      outputs: listValues(graph.outputs),
      nodes: graph.nodes.length,
      parameters,
      "FLOPs an image": `${formatLarge(cost.forwardFlops)} forward, ${formatLarge(cost.backwardFlops)} backward`,
      activations: `${formatLarge(cost.activationBytes)}B an image`,
    }),
    "",
    formatTable(["layer", "operator", "output", "parameters", "FLOPs"], layers(graph)),
    ...(Object.keys(metadataProps).length > 0 ? ["", formatFields(metadataProps)] : []),
  ].join("\n");
  return { facts, text, model };
}

/** Values with their types; those of gradients and state are only counted. */
function listValues(values: readonly Value[]): string {
  const isState = ({ name = "" }: Value) =>
    /(_grad|_next|\.momentum(_\d)?|\.accumulation\.(buffer|out))$/.test(name);
  const shown = values
    .filter((value) => !isState(value))
    .map(({ name, type }) => `${name} ${formatType(type)}`);
  const others = values.length - shown.length;
  return [...shown, ...(others > 0 ? [`and ${others} of gradients or state`] : [])].join("; ");
}

function isWeight(name: string): boolean {
  return /\.(weight|bias|running_mean|running_var)$/.test(name);
}

function isParameter(name: string): boolean {
  return /\.(weight|bias)$/.test(name);
}

/** The layers of the forward pass that have weights. */
function layers(graph: Graph): (string | number)[][] {
  return graph.nodes.flatMap((node) => {
    const own = node.inputs.map(beforeQuantization).filter((input) => isParameter(input?.name ?? ""));
    const [output] = node.outputs;
    if (isBackward(node) || own.length === 0 || !output || !isLayer(node)) return [];
    const layer = (own[0]?.name ?? "").replace(/\.(weight|bias)$/, "");
    const parameters = own.reduce((sum, input) => sum + (input ? elementCount(input.shape) : 0), 0);
    return [[layer, node.opType, formatType(output.type), parameters, formatLarge(flopsOf(node))]];
  });
}

function isLayer({ opType }: Node): boolean {
  return opType !== "InPlaceAccumulatorV2" && opType !== "DequantizeLinear";
}

/** The tensor of whole numbers behind a weight that a node reads as float. */
function beforeQuantization(input: Value | null): Value | null {
  return input?.producer?.opType === "DequantizeLinear" ? input.producer.input(0) : input;
}

function countOperators(graph: Graph): Record<string, number> {
  const counts = new Map<string, number>();
  for (const { opType } of graph.nodes) counts.set(opType, (counts.get(opType) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
}

function inspectCheckpoint(checkpoint: Checkpoint): Report {
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

async function inspectRun(directory: RunDirectory): Promise<Report> {
  const { config, path } = directory;
  const records = await directory.records();
  const { properties } = await directory.checkpoint("last");
  const last = records.at(-1);
  const facts = { kind: "run", path, config, epochs: records, step: Number(properties.get("step")) };
  const rows = records.map((record) => [
    String(record.epoch),
    `${record.train_accuracy.toFixed(2)} %`,
    record.train_loss.toFixed(3),
    `${record.test_accuracy.toFixed(2)} %`,
    record.test_loss.toFixed(3),
    record.learning_rate.toPrecision(3),
  ]);
  const text = [
    formatFields({
      run: path,
      network: networkName(config),
      data: config.data,
      progress: `${records.length} of ${config.epochs} epochs, step ${facts.step}`,
      "test accuracy": last && `${last.test_accuracy.toFixed(2)} %`,
      settings: Object.entries(config)
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => `${name} ${value}`)
        .join(", "),
    }),
    "",
    formatTable(["epoch", "train", "loss", "test", "loss", "learning rate"], rows),
  ].join("\n");
  return { facts, text };
}

async function inspectArtifacts(path: string): Promise<Report> {
  const reports = await Promise.all(
    Object.entries(artifactFiles).map(async ([key, name]) => ({
      key,
      name,
      report: await inspect(join(path, name)),
    })),
  );
  const facts = {
    kind: "artifacts",
    ...Object.fromEntries(reports.map(({ key, report }) => [key, report.facts])),
  };
  const rows = reports.map(({ name, report: { facts: file } }) => [
    name,
    String(file["description"] ?? "the state before the first step"),
    typeof file["nodes"] === "number" ? String(file["nodes"]) : "",
  ]);
  const text = [formatTable(["file", "what it is", "nodes"], rows), "", reports[0]?.report.text ?? ""].join(
    "\n",
  );
  return { facts, text };
}
