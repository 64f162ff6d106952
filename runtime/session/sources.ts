import { UserError } from "../../graph-builder/errors.ts";

/** The bytes of a file, or where they are: a path in Node, or a URL. */
export type Source = Uint8Array | string;

/** ONNX Runtime training artifacts; without an eval or optimizer model those steps cannot be run. */
export interface TrainingSources<S = Source> {
  readonly checkpointState: S;
  readonly trainModel: S;
  readonly evalModel?: S | undefined;
  readonly optimizerModel?: S | undefined;
}

/** The bytes of artifacts. Throws UserError, naming the source, where one cannot be read. */
export async function readSources(sources: TrainingSources): Promise<TrainingSources<Uint8Array>> {
  const { checkpointState, trainModel, evalModel, optimizerModel } = sources;
  return {
    checkpointState: await readSource(checkpointState),
    trainModel: await readSource(trainModel),
    evalModel: evalModel === undefined ? undefined : await readSource(evalModel),
    optimizerModel: optimizerModel === undefined ? undefined : await readSource(optimizerModel),
  };
}

async function readSource(source: Source): Promise<Uint8Array> {
  if (typeof source !== "string") return source;
  if (isPath(source)) {
    // a page never gets here, and has no file system to bundle
    const { readFileBytes } = await import("../../artifacts/files.ts");
    return readFileBytes(source);
  }
  const response = await fetch(source).catch((error: unknown) => {
    throw new UserError(`${source} cannot be fetched: ${(error as Error).message}.`, { cause: error });
  });
  if (!response.ok) throw new UserError(`${source} cannot be fetched: the server says ${response.status}.`);
  return new Uint8Array(await response.arrayBuffer());
}

function isPath(source: string): boolean {
  return typeof process !== "undefined" && process.versions?.node !== undefined && !/^\w+:\/\//.test(source);
}
