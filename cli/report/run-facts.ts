import { decodeModel, UserError } from "../../graph-builder/index.ts";
import { describeData } from "../../runtime/data/dataset.ts";
import type { ClassificationRecord } from "../../runtime/index.ts";
import { shakeNetFunctions } from "../../shakenet/functions.ts";
import { reproducingCommand } from "../../shakenet/node/reproducing.ts";
import { GIVEN_WEIGHTS } from "../../shakenet/provenance.ts";
import { measuredPart } from "../data/part-name.ts";
import { type AnyRun, networkOfRun } from "../models/any-run.ts";
import { type Layer, layersOf, parametersOf } from "../models/layers.ts";
import { type RunState, runStateOf } from "../models/run-state.ts";
import type { RunFacts } from "./facts.ts";
import { type Origin, readOrigin } from "./origin.ts";

/**
 * What a report says of a run without running its network. A file that is missing or damaged is told to
 * `onNote` in a sentence, and left out. The state is read from the folder where it is not given.
 */
export async function runFacts(
  run: AnyRun,
  onNote: (sentence: string) => void,
  state?: RunState,
): Promise<RunFacts> {
  const { config, path } = run;
  const records = (await readOr<readonly ClassificationRecord[]>(() => run.records(), onNote)) ?? [];
  const origin = await readOr<Origin | undefined>(() => readOrigin(path), onNote);
  const trained = await readOr(() => trainedNetwork(run), onNote);
  const told = ["pictures", "feeding", "earlier"];
  const plain = Object.entries(config).filter(([name, value]) => value !== undefined && !told.includes(name));
  return {
    path,
    network: networkOfRun(run),
    data: describeData(config).title,
    state: state ?? (await runStateOf(run, records)),
    epochs: config.epochs,
    records,
    part: measuredPart(config),
    settings: Object.fromEntries(plain),
    command: await commandOf(run, origin),
    origin,
    parameters: trained?.parameters,
    layers: trained?.layers ?? [],
  };
}

/** The command that repeats a run; as it was typed where the settings do not say with what it began. */
async function commandOf(run: AnyRun, origin: Origin | undefined): Promise<string | undefined> {
  const { config } = run;
  if ("feeding" in config) return origin?.command;
  const isGiven = await run.checkpoint("last").then(
    ({ properties }) => properties.has(GIVEN_WEIGHTS),
    () => false,
  );
  return isGiven ? origin?.command : reproducingCommand(config);
}

async function readOr<T>(read: () => Promise<T>, onNote: (sentence: string) => void): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    onNote(error.message);
    return undefined;
  }
}

async function trainedNetwork(
  run: AnyRun,
): Promise<{ readonly parameters: number; readonly layers: readonly Layer[] }> {
  const { manifest, evalModel } = await run.artifacts();
  const { trainable, frozen } = await run.checkpoint("last");
  const { graph } = decodeModel(evalModel, "eval_model.onnx", {
    functions: shakeNetFunctions,
    uncovered: "keep",
  });
  const statistics = graph.nodes.flatMap(({ opType, inputs }) =>
    opType === "BatchNormalization" ? inputs.slice(3) : [],
  );
  const weights = graph.inputs.filter(
    (input) =>
      [trainable, frozen].some((tensors) => tensors.has(input.name ?? "")) && !statistics.includes(input),
  );
  const all = new Set([...weights, ...parametersOf(graph)]);
  return { parameters: manifest.parameters, layers: layersOf(graph, all) };
}
