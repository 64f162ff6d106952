import { join } from "node:path";
import { artifactFiles, decodeCheckpoint, isCheckpoint, readFileBytes } from "../../../artifacts/index.ts";
import {
  createModel,
  decodeModel,
  decodeOutline,
  type Model,
  metadataBesideBindings,
  printModel,
  runPasses,
  toDot,
  trainingPasses,
  UserError,
} from "../../../graph-builder/index.ts";
import { type DeviceName, graphOnDevice } from "../../../runtime/index.ts";
import { isFolder, isThere } from "../../../runtime/node/files.ts";
import { openDevice, readExternalData } from "../../../runtime/node/index.ts";
import { isRun } from "../../../runtime/node/run/run-directory.ts";
import { shakeNetFunctions } from "../../../shakenet/functions.ts";
import { openRun } from "../../../shakenet/node/run.ts";
import { findModelRun } from "../../models/model-run.ts";
import { print } from "../../terminal.ts";
import { inspectArtifacts } from "./artifacts.ts";
import { inspectBranches } from "./branches.ts";
import { inspectCheckpoint } from "./checkpoint.ts";
import type { InspectGiven } from "./command.ts";
import { inspectModel } from "./model.ts";
import { inspectOutline } from "./outline.ts";
import type { Report } from "./report.ts";
import { inspectRun } from "./run-folder.ts";
import { inspectTraining } from "./training.ts";

export async function run(given: InspectGiven): Promise<number> {
  expectTogether(given);
  const { file = "", graph, lowered, dot, training, branches, testLimit, json } = given;
  const found = await (branches ? inspectBranches(file, testLimit) : inspect(file));
  const report = training ? inspectTraining(expectModel(found, file), file) : found;
  if (graph || lowered || dot) {
    const model = expectModel(report, file);
    const shown = lowered ? await modelOn(lowered, model) : model;
    print(dot ? toDot(shown.graph) : printModel(shown));
  } else print(json ? JSON.stringify(report.facts) : report.text);
  return 0;
}

/** Throws UserError for flags of which one would be ignored. */
function expectTogether({ graph, lowered, dot, training, branches, testLimit, json }: InspectGiven): void {
  const printing = dot ? "--dot" : lowered ? "--lowered" : graph && "--graph";
  const told = json ? "--json" : training && "--training";
  const sentence =
    printing && told
      ? `${printing} prints a model, so ${told} does not go with it.`
      : testLimit !== undefined && !branches && "--test-limit is for --branches, which measures images.";
  if (sentence) throw new UserError(sentence, { code: "setting-conflict" });
}

function expectModel({ model, refusal }: Report, file: string): Model {
  if (model) return model;
  throw new UserError(refusal ?? `${file} is no model: only a model has a graph.`, {
    code: "model-unsupported",
  });
}

/** The model after lowering for a device; for the CPU, for the kernels of this machine. */
async function modelOn(device: DeviceName, model: Model): Promise<Model> {
  const { graph, docString } = model;
  const lowered =
    device === "cpu"
      ? runPasses(graph, trainingPasses((await openDevice("cpu")).lowering))
      : graphOnDevice(graph, device);
  return createModel(lowered, { docString, metadataProps: metadataBesideBindings(model) });
}

async function inspect(path: string): Promise<Report> {
  if (!(await isFolder(path))) {
    const bytes = await readFileBytes(path);
    return isCheckpoint(bytes)
      ? inspectCheckpoint(decodeCheckpoint(bytes, path))
      : await inspectModelFile(bytes, path);
  }
  if (await isRun(path)) return inspectRun((await findModelRun(path)) ?? (await openRun(path)));
  if (await isThere(join(path, artifactFiles.trainingModel))) return inspectArtifacts(path, inspect);
  throw new UserError(`${path} is neither the folder of a run nor one that build-graph wrote.`, {
    code: "run-missing",
  });
}

async function inspectModelFile(bytes: Uint8Array, path: string): Promise<Report> {
  const options = { functions: shakeNetFunctions, externalData: await readExternalData(bytes, path) };
  const covered = valueOrRefusal(() => decodeModel(bytes, path, options));
  if (!(covered instanceof UserError)) return inspectModel(covered);
  const report = inspectOutline(decodeOutline(bytes, path), covered.message);
  const kept = valueOrRefusal(() => decodeModel(bytes, path, { ...options, uncovered: "keep" }));
  return kept instanceof UserError ? report : { ...report, model: kept };
}

function valueOrRefusal<T>(read: () => T): T | UserError {
  try {
    return read();
  } catch (error) {
    if (error instanceof UserError) return error;
    throw error;
  }
}
