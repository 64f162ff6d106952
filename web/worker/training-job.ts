import { UserError } from "../../graph-builder/errors.ts";
import type { TrainingCalls, TrainingEvent } from "../calls/training.ts";
import type { Queue } from "./queue.ts";
import type { PageTraining } from "./training.ts";

/**
 * The functions of the worker for the training of the tab Train. What only a training needs, such as the
 * gradients of all operators, is loaded when one starts.
 */
export function trainingJob(queue: Queue, tell: (event: TrainingEvent) => void): TrainingCalls {
  let training: PageTraining | undefined;
  const expectTraining = () => {
    if (training) return training;
    throw new UserError("There is no training yet: start one.", { code: "model-missing" });
  };
  return {
    async train(choices) {
      if (training?.isRunning)
        throw new UserError("A training is running: stop it first.", { code: "session-busy" });
      const { PageTraining } = await import("./training.ts");
      training = new PageTraining(choices, queue, tell);
      return training.run();
    },
    resume: async () => expectTraining().run(),
    stop: async () => expectTraining().stop(),
    trained: async () => expectTraining().trained(),
  };
}
