import { hasFiles, readFileBytes } from "../../artifacts/read-file.ts";
import { UserError } from "../../graph-builder/errors.ts";

/** The bytes of a file, its path (in Node), or its URL. */
export type Source = Uint8Array | string;

/**
 * ONNX Runtime training artifacts; evaluation needs the eval model, and runOptimizerStep the optimizer model.
 */
export interface TrainingSources<S = Source> {
  readonly checkpoint: S;
  readonly trainingModel: S;
  readonly evalModel?: S | undefined;
  readonly optimizerModel?: S | undefined;
}

/** The same artifacts under the names of onnxruntime-common 1.19, which sessions accept too. */
export interface TrainingSessionCreateOptions {
  readonly checkpointState: Source;
  readonly trainModel: Source;
  readonly evalModel?: Source | undefined;
  readonly optimizerModel?: Source | undefined;
}

/**
 * Reads the bytes of artifacts, given under our names or ONNX Runtime's.
 * Throws UserError where one cannot be read (naming the source), and where there is no checkpoint or no
 * training model.
 */
export async function readSources(
  given: TrainingSources | TrainingSessionCreateOptions,
): Promise<TrainingSources<Uint8Array>> {
  const { checkpoint, trainingModel, evalModel, optimizerModel } = ownNames(given);
  return {
    checkpoint: await readSource(expectSource(checkpoint, "checkpoint")),
    trainingModel: await readSource(expectSource(trainingModel, "trainingModel")),
    evalModel: evalModel === undefined ? undefined : await readSource(evalModel),
    optimizerModel: optimizerModel === undefined ? undefined : await readSource(optimizerModel),
  };
}

function ownNames(given: TrainingSources | TrainingSessionCreateOptions): Partial<TrainingSources> {
  if (!("checkpointState" in given)) return given;
  const { checkpointState, trainModel, evalModel, optimizerModel } = given;
  return { checkpoint: checkpointState, trainingModel: trainModel, evalModel, optimizerModel };
}

function expectSource(source: Source | undefined, name: "checkpoint" | "trainingModel"): Source {
  if (source !== undefined) return source;
  throw new UserError(`The artifacts lack ${name}.`, { code: "source-missing", details: { source: name } });
}

async function readSource(source: Source): Promise<Uint8Array> {
  if (typeof source !== "string") return source;
  if (hasFiles && !/^\w+:\/\//.test(source)) return readFileBytes(source);
  const response = await fetch(source).catch((error: unknown) => {
    throw unreachable(source, error instanceof Error ? error.message : String(error), error);
  });
  if (!response.ok) throw unreachable(source, `the server says ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

function unreachable(source: string, reason: string, cause?: unknown): UserError {
  return new UserError(`${source} cannot be fetched: ${reason}.`, {
    code: "source-unreachable",
    details: { source, reason },
    cause,
  });
}
