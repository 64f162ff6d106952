import type { InputSizes } from "../../graph-builder/index.ts";
import { type ClassificationRecord, classificationRecordIn } from "../../runtime/data/classification-task.ts";
import type { Link } from "../../runtime/index.ts";
import { type Engine, openEngine, trainingSources } from "../../runtime/node/run/engine.ts";
import { expectTrainable } from "../../runtime/node/run/engine-settings.ts";
import { createFreeRun } from "../../runtime/node/run/free-run.ts";
import { RunDirectory, type RunFormat } from "../../runtime/node/run/run-directory.ts";
import { fuseArtifacts, unfuseCheckpoint } from "../fusing.ts";
import { imageShapeOf, networkSlug } from "../network.ts";
import type { Provenance } from "../provenance.ts";
import { isShakeNetManifest, type ShakeNetArtifacts, type ShakeNetManifest } from "../training-artifacts.ts";
import { inOneProcess, reproducingCommand } from "./reproducing.ts";
import { type RunConfig, runConfigIn, withoutPlace } from "./run-config.ts";
import { dataSlug, publicConfig } from "./run-data.ts";

/** The folder of a run that trains a ShakeNet. */
export type ShakeNetRun = RunDirectory<RunConfig, ShakeNetManifest, ClassificationRecord>;

const format: RunFormat<RunConfig, ShakeNetManifest, ClassificationRecord> = {
  configOf: runConfigIn,
  isManifest: isShakeNetManifest,
  recordOf: classificationRecordIn,
};

/**
 * Makes the folder of a new run; without a path it is `runs/<network>-<data>-s<seed>`, with a number appended
 * where that is taken. Throws UserError where the path is taken or cannot be written.
 */
export function createRun(
  path: string | undefined,
  config: RunConfig,
  artifacts: ShakeNetArtifacts,
): Promise<ShakeNetRun> {
  if (path !== undefined) return RunDirectory.create(format, path, config, artifacts);
  const name = `${networkSlug(config)}-${dataSlug(config)}-s${config.seed}`;
  return createFreeRun(format, name, config, artifacts);
}

/** Opens the folder of a run. Throws UserError where it is none, or is damaged. */
export function openRun(path: string): Promise<ShakeNetRun> {
  return RunDirectory.open(format, path);
}

/**
 * The run whose folder contains a checkpoint; undefined where there is none. Throws UserError where the run
 * is damaged.
 */
export function runAround(checkpoint: string): Promise<ShakeNetRun | undefined> {
  return RunDirectory.around(format, checkpoint);
}

/** The provenance of a model that is exported from a run. */
export function provenanceOf(config: RunConfig, testAccuracy?: number): Provenance {
  const { pictures, earlier, ...settings } = inOneProcess(publicConfig(config));
  return {
    settings: withoutPlace(settings),
    command: reproducingCommand({ ...settings, pictures, earlier }),
    data: settings.data,
    pictures,
    testAccuracy,
  };
}

/** The sizes of the images that a run feeds; undefined where that is one. */
function inputSizes({ earlySize }: RunConfig, { manifest }: ShakeNetArtifacts): InputSizes[] | undefined {
  if (earlySize === undefined) return undefined;
  const [channels, height, width] = imageShapeOf(manifest.settings);
  return [{ images: [null, channels, height, width] }, { images: [null, channels, earlySize, earlySize] }];
}

/** An engine with a function that converts its checkpoints to the layout of the original artifacts. */
export interface ShakeNetEngine extends Engine {
  readonly layOut: (checkpoint: Uint8Array) => Uint8Array;
}

/**
 * Opens the engine that a run asks for, with the link to its other ranks. ONNX Runtime's own training session
 * gets fused artifacts. Throws UserError where the settings do not go together, or this machine lacks the
 * device.
 */
export async function openShakeNetEngine(
  config: RunConfig,
  artifacts: ShakeNetArtifacts,
  link?: Link,
): Promise<ShakeNetEngine> {
  if (config.engine !== "ort-training") {
    const options = { inputSizes: inputSizes(config, artifacts), link };
    const engine = await openEngine(trainingSources(artifacts), config, options);
    return { ...engine, layOut: (checkpoint) => checkpoint };
  }
  expectTrainable(config);
  const engine = await openEngine(trainingSources(fuseArtifacts(artifacts)), config);
  return { ...engine, layOut: (checkpoint) => unfuseCheckpoint(checkpoint, artifacts) };
}
