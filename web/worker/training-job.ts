import { UserError } from "../../graph-builder/errors.ts";
import { shapesDataset } from "../../runtime/data/dataset.ts";
import type { KeptTraining, TrainChoices, TrainingCalls, TrainingEvent } from "../calls/training.ts";
import { Kept } from "../storage.ts";
import type { Queue } from "./queue.ts";
import type { PageTraining, TrainingPictures } from "./training.ts";

const TEST_IMAGES = 500;

function drawnPictures({ images }: TrainChoices): TrainingPictures {
  return {
    trainSet: shapesDataset("train", images),
    testSet: shapesDataset("test", TEST_IMAGES),
    data: "shapes",
  };
}

/** The training across reloads. A kept training of another form needs another key. */
const kept = new Kept<KeptTraining>("training-1");

/**
 * The functions of the worker for the training of the tab Train. What only a training needs, such as the
 * gradients of all operators, is loaded when one starts.
 */
export function trainingJob(queue: Queue, tell: (event: TrainingEvent) => void): TrainingCalls {
  const surroundings = { queue, tell, keep: (training: KeptTraining) => kept.put(training) };
  const loaded = () => import("./training.ts");
  let training: PageTraining | undefined;
  const expectTraining = () => {
    if (training) return training;
    throw new UserError("There is no training yet: start one.", { code: "model-missing" });
  };
  return {
    async train(choices) {
      if (training?.isRunning)
        throw new UserError("A training is running: stop it first.", { code: "session-busy" });
      const { PageTraining } = await loaded();
      training = new PageTraining(choices, drawnPictures(choices), surroundings);
      return training.run();
    },
    resume: async () => expectTraining().run(),
    stop: async () => expectTraining().stop(),
    trained: async () => expectTraining().trained(),
    async restore() {
      const found = await kept.get();
      if (!found || found.history.points.length === 0) return undefined;
      const { PageTraining } = await loaded();
      training ??= new PageTraining(found.choices, drawnPictures(found.choices), surroundings, found);
      return { choices: found.choices, history: found.history };
    },
    async forget() {
      await kept.delete();
      if (!training?.isRunning) training = undefined;
    },
    testPictures: async () => expectTraining().testPictures(),
    inside: async (image) => expectTraining().inside(image),
  };
}
