import { stepsPerEpoch } from "../../../runtime/data/batches.ts";
import { kebabCase } from "../../../runtime/node/run/schema.ts";
import {
  networkTitle,
  noiseName,
  openClassifier,
  type ShakeNetArtifacts,
  setWhitening,
  shakeNetTask,
  shakeStrength,
} from "../../../shakenet/index.ts";
import { augmentationOf, earlySizeOf, mixingOf } from "../../../shakenet/node/loop-settings.ts";
import { type RecipeName, settingsOfRecipe } from "../../../shakenet/node/recipes.ts";
import { openShakeNetEngine, provenanceOf } from "../../../shakenet/node/run.ts";
import type { RunConfig } from "../../../shakenet/node/run-config.ts";
import { frozenModel } from "../../../shakenet/provenance.ts";
import type { Subject } from "./prepared-run.ts";

/** A ShakeNet in training. */
export function shakeNetSubject(config: RunConfig, artifacts: ShakeNetArtifacts): Subject {
  const { manifest, checkpoint } = artifacts;
  return {
    config,
    manifest,
    artifacts,
    checkpoint,
    description: {
      title: networkTitle(config),
      file: "shakenet.onnx",
      network: `${manifest.network}, ${noiseName(config)}`,
      optimizer: config.optimizer,
      recipe: config.recipe && describeRecipe(config.recipe),
    },
    takeFromData: (first, trainSet) => setWhitening(first, manifest.settings, trainSet),
    openEngine: (bytes, link) => openShakeNetEngine(config, { ...artifacts, checkpoint: bytes }, link),
    taskOf: (sets, device, link) => {
      const steps = config.epochs * stepsPerEpoch(sets.trainSet, config.batchSize);
      return shakeNetTask({
        ...config,
        ...sets,
        network: manifest.settings,
        device,
        link,
        augmentation: augmentationOf(config),
        mixing: mixingOf(config),
        earlySize: earlySizeOf(config),
        strength: (step) => shakeStrength(config, step, steps),
      });
    },
    freeze: (trained, where, testAccuracy) => frozenModel(trained, where, provenanceOf(config, testAccuracy)),
    openClassifier: (bytes, device) => openClassifier(bytes, device, "the network"),
  };
}

function describeRecipe(name: RecipeName): string {
  const flags = Object.entries(settingsOfRecipe(name)).map(
    ([setting, value]) => `--${kebabCase(setting)} ${value}`,
  );
  return `${name}, which is ${flags.join(" ")}`;
}
