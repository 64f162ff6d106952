import { type ArtifactSettings, type Checkpoint, inferenceModel } from "../artifacts/index.ts";
import { networkName, UserError } from "../graph-builder/index.ts";
import { datasets } from "../runtime/data/dataset.ts";
import { reproducingCommand } from "./run-directory.ts";
import type { RunConfig } from "./settings.ts";

/** The checkpoint's property with the SHA-256 of the training images and labels. */
export const DATA_DIGEST = "data_sha256";

/** What is known of a training beside its checkpoint. */
export interface Provenance {
  readonly config?: RunConfig | undefined;
  /** In percent. */
  readonly testAccuracy?: number | undefined;
}

/** A checkpoint as one plain .onnx with its provenance; the same training always gives the same bytes. */
export function frozenModel(checkpoint: Checkpoint, where: string, about: Provenance = {}): Uint8Array {
  const settings = checkpointSettings(checkpoint, where);
  const { config, testAccuracy } = about;
  const dataDigest = checkpoint.properties.get(DATA_DIGEST);
  const steps = checkpoint.properties.get("step");
  const fields: Readonly<Record<string, string | undefined>> = {
    network: `ShakeNet ${networkName(settings)}`,
    class_names: config && JSON.stringify(datasets[config.data].classNames),
    settings: JSON.stringify(config ? withoutPlace(config) : settings),
    data: config?.data,
    data_sha256: dataDigest === undefined ? undefined : String(dataDigest),
    seed: String(settings.seed),
    steps: steps === undefined ? undefined : String(steps),
    test_accuracy: testAccuracy?.toFixed(2),
    command: config && reproducingCommand(config),
  };
  const known = Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return inferenceModel(settings, checkpoint, {
    docString: `ShakeNet ${networkName(settings)}: raw pixels 0..255 to logits, alpha = 0.5`,
    metadataProps: Object.fromEntries(known),
  });
}

/** The settings that a checkpoint of ours was made with. Throws UserError for one of another program. */
export function checkpointSettings({ properties }: Checkpoint, where: string): ArtifactSettings {
  const settings = properties.get("settings");
  if (typeof settings !== "string") {
    throw new UserError(`${where} does not say which network it is of: it was not made by shake.`);
  }
  return JSON.parse(settings) as ArtifactSettings;
}

/** The settings that say what was trained, without those that say where. */
function withoutPlace({
  dataDir: _,
  device: __,
  threads: ___,
  checkpointEverySteps: ____,
  ...config
}: RunConfig) {
  return config;
}
