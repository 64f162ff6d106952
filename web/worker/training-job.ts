import { UserError } from "../../graph-builder/errors.ts";
import { shapesDataset } from "../../runtime/data/dataset.ts";
import type {
  KeptTraining,
  TrainChoices,
  TrainingCalls,
  TrainingEnd,
  TrainingEvent,
} from "../calls/training.ts";
import { Kept } from "../storage.ts";
import type { Queue } from "./queue.ts";
import type { PageTraining, TrainingPictures, TrainingSurroundings } from "./training.ts";

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
 * The training of the tab Train: the one that was started, or the one that the browser has kept. What only a
 * training needs, such as the gradients of all operators, is loaded with it.
 */
class TabTraining {
  readonly #surroundings: TrainingSurroundings;
  #training: PageTraining | undefined;
  /** The training that was told to run last. */
  #beginning: Promise<PageTraining> | undefined;

  constructor(surroundings: TrainingSurroundings) {
    this.#surroundings = surroundings;
  }

  get isRunning(): boolean {
    return this.#training?.isRunning === true;
  }

  /** A new training. Throws UserError for a depth or a width that no network has. */
  async create(choices: TrainChoices): Promise<PageTraining> {
    const { PageTraining } = await import("./training.ts");
    this.#training = new PageTraining(choices, drawnPictures(choices), this.#surroundings);
    return this.#training;
  }

  /** What the browser has kept, which is the training from now on where there is none yet. */
  async restore(): Promise<KeptTraining | undefined> {
    const found = await kept.get();
    if (!found || found.history.points.length === 0) return undefined;
    const { PageTraining } = await import("./training.ts");
    this.#training ??= new PageTraining(
      found.choices,
      drawnPictures(found.choices),
      this.#surroundings,
      found,
    );
    return found;
  }

  /** The training. Throws UserError where there is none. */
  async get(): Promise<PageTraining> {
    // a worker that was started anew has none, and the page goes on with the one that was kept
    if (!this.#training) await this.restore();
    if (this.#training) return this.#training;
    throw new UserError("There is no training yet: start one.", { code: "model-missing" });
  }

  /** Runs a training once it is there. */
  async run(training: Promise<PageTraining>): Promise<TrainingEnd> {
    this.#beginning = training;
    return (await training).run();
  }

  /** Stops the training that was told to run last, also where it is not there yet. */
  async stop(): Promise<void> {
    // `run` tells the error of a training that cannot begin
    const training = await this.#beginning?.catch(() => undefined);
    training?.stop();
  }

  async forget(): Promise<void> {
    await kept.delete();
    if (!this.isRunning) this.#training = undefined;
  }
}

/** The functions of the worker for the training of the tab Train. */
export function trainingJob(queue: Queue, tell: (event: TrainingEvent) => void): TrainingCalls {
  const keep = (training: KeptTraining) => kept.put(training);
  const training = new TabTraining({ queue, tell, keep });
  return {
    async train(choices) {
      if (training.isRunning)
        throw new UserError("A training is running: stop it first.", { code: "session-busy" });
      return training.run(training.create(choices));
    },
    resume: () => training.run(training.get()),
    stop: () => training.stop(),
    trained: async () => (await training.get()).trained(),
    async restore() {
      const found = await training.restore();
      return found && { choices: found.choices, history: found.history };
    },
    forget: () => training.forget(),
    testPictures: async () => (await training.get()).testPictures(),
    inside: async (image) => (await training.get()).inside(image),
  };
}
