import { expect } from "vitest";
import { datasets } from "../../runtime/data/dataset.ts";
import { cosine, TrainingSession, train } from "../../runtime/index.ts";
import { loadDataset, openDevice } from "../../runtime/node/index.ts";
import { buildTrainingArtifacts, shakeNetTask } from "../../shakenet/index.ts";
import { cifar10Dir, testWithCifar10 } from "../support/cifar10.ts";
import { tinySettings } from "../support/tiny-run.ts";

const networks = [
  { depth: 14, width: 16, seeds: [1, 2, 3] },
  { depth: 26, width: 32, seeds: [4] },
];

testWithCifar10(
  "steps at a learning rate of 0.2 from the author's initialisation stay finite on CIFAR-10",
  async () => {
    const { mean, std } = datasets.cifar10;
    const at = { dataDir: cifar10Dir };
    const trainSet = await loadDataset("cifar10", { split: "train", limit: 32, ...at });
    const testSet = await loadDataset("cifar10", { split: "test", limit: 32, ...at });
    const device = await openDevice("cpu");
    for (const { depth, width, seeds } of networks) {
      for (const seed of seeds) {
        const artifacts = buildTrainingArtifacts(tinySettings({ depth, width, mean, std, seed }));
        const session = await TrainingSession.create(artifacts, device);
        const task = shakeNetTask({
          network: artifacts.manifest.settings,
          forward: "shake",
          backward: "shake",
          level: "image",
          trainSet,
          testSet,
          batchSize: 16,
          seed,
          device,
        });
        const store = { save: async () => {} };
        const settings = { epochs: 100, learningRate: cosine(0.2), checkpointEverySteps: 1, store };
        // every save refuses a parameter that is not finite, every step a loss
        for await (const event of train(session, task, settings)) {
          if (event.type === "step") expect(Number.isFinite(event.metrics.loss)).toBe(true);
          if (event.type === "checkpoint" && event.step === 2) break;
        }
        await session.release();
      }
    }
  },
);
