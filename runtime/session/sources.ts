import { hasFiles, readFileBytes } from "../../artifacts/read-file.ts";
import { UserError } from "../../graph-builder/errors.ts";
import { shown } from "../../graph-builder/visible.ts";

/** The bytes of a file, its path (in Node), or its URL. */
export type Source = Uint8Array | string;

/**
 * ONNX Runtime training artifacts; evaluation needs the eval model, runOptimizerStep the optimizer model, and
 * exportModel the source model.
 */
export interface TrainingSources<S = Source> {
  readonly checkpoint: S;
  readonly trainingModel: S;
  readonly evalModel?: S | undefined;
  readonly optimizerModel?: S | undefined;
  /** The file that the model came from, as `generateArtifacts` returns it. */
  readonly sourceModel?: S | undefined;
}

/** The same artifacts under the names of onnxruntime-common 1.19, which sessions accept too. */
export interface TrainingSessionCreateOptions {
  readonly checkpointState: Source;
  readonly trainModel: Source;
  readonly evalModel?: Source | undefined;
  readonly optimizerModel?: Source | undefined;
  /** The file that the model came from, which ONNX Runtime has not. */
  readonly sourceModel?: Source | undefined;
}

/**
 * Reads the bytes of artifacts, given under our names or ONNX Runtime's.
 * Throws UserError where one cannot be read (naming the source) or is neither bytes nor a text, and where
 * there is no checkpoint or no training model.
 */
export async function readSources(
  given: TrainingSources | TrainingSessionCreateOptions,
): Promise<TrainingSources<Uint8Array>> {
  expectSources(given);
  const { checkpoint, trainingModel, evalModel, optimizerModel, sourceModel } = ownNames(given);
  const readOptional = (source: Source | undefined, name: string) =>
    source === undefined ? undefined : readSource(source, name);
  return {
    checkpoint: await readSource(expectSource(checkpoint, "checkpoint"), "checkpoint"),
    trainingModel: await readSource(expectSource(trainingModel, "trainingModel"), "trainingModel"),
    evalModel: await readOptional(evalModel, "evalModel"),
    optimizerModel: await readOptional(optimizerModel, "optimizerModel"),
    sourceModel: await readOptional(sourceModel, "sourceModel"),
  };
}

function expectSources(given: unknown): void {
  if (typeof given === "object" && given !== null) return;
  throw new UserError(
    `A session opens an object of files, { checkpoint, trainingModel, evalModel, optimizerModel }, not ${shown(given)}.`,
    { code: "source-missing" },
  );
}

function ownNames(given: TrainingSources | TrainingSessionCreateOptions): Partial<TrainingSources> {
  if (!("checkpointState" in given)) return given;
  const { checkpointState: checkpoint, trainModel: trainingModel, ...others } = given;
  return { checkpoint, trainingModel, ...others };
}

function expectSource(source: Source | undefined, name: "checkpoint" | "trainingModel"): Source {
  if (source !== undefined) return source;
  throw new UserError(`The artifacts lack ${name}.`, { code: "source-missing", details: { source: name } });
}

async function readSource(source: Source, name: string): Promise<Uint8Array> {
  if (source instanceof Uint8Array) return source;
  if (typeof source !== "string") {
    throw new UserError(
      `${name} must be the bytes of a file (Uint8Array), its path or its URL, not ${shown(source)}.`,
      { code: "source-missing", details: { source: name } },
    );
  }
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
