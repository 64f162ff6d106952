import { UserError } from "../../graph-builder/errors.ts";
import { drawShapes } from "../../runtime/data/shapes.ts";
import type {
  CallMessage,
  CallName,
  Calls,
  CallTable,
  ErrorMessage,
  FromWorker,
  ResultMessage,
  ToWorker,
  WorkerEvent,
} from "../protocol.ts";
import { loadOnnxRuntime } from "./devices.ts";
import { readModel } from "./models.ts";
import { Queue } from "./queue.ts";
import { ShownModel } from "./shown-model.ts";
import { PageTraining } from "./training.ts";

const queue = new Queue();
let shown: ShownModel | undefined;
let training: PageTraining | undefined;

const calls: Calls = {
  async open(file) {
    const model = readModel(file);
    const next = await ShownModel.open(model, queue);
    const before = shown;
    shown = next;
    await before?.release();
    return { info: model.info, devices: next.devices };
  },
  async chooseDevice(choice) {
    await expectShown().choose(choice);
    // another model may have been opened meanwhile
    return expectShown().devices;
  },
  async drawExamples(count, from) {
    const { images, labels } = drawShapes("test", from + count, 0);
    const pixels = images.length / labels.length;
    return { images: images.slice(from * pixels), labels: labels.slice(from) };
  },
  classify: async (images) => expectShown().classify(images),
  shake: async (image, alphas) => expectShown().shake(image, alphas),
  async train(choices) {
    if (training?.isRunning)
      throw new UserError("A training is running: stop it first.", { code: "session-busy" });
    training = new PageTraining(choices, queue, tell);
    return training.run();
  },
  resume: async () => expectTraining().run(),
  stop: async () => expectTraining().stop(),
  trained: async () => expectTraining().trained(),
};

function expectShown(): ShownModel {
  if (!shown)
    throw new UserError("The page has no model yet: drop an .onnx file on the page, or train a network.", {
      code: "model-missing",
    });
  return shown;
}

function expectTraining(): PageTraining {
  if (!training) throw new UserError("There is no training yet: start one.", { code: "model-missing" });
  return training;
}

function post(message: FromWorker): void {
  globalThis.postMessage(message);
}

function tell(event: WorkerEvent): void {
  post({ type: "event", event });
}

async function answer(message: CallMessage): Promise<void> {
  try {
    await ready;
    post(await resultOf(message));
  } catch (error) {
    post(errorMessage(message, error));
  }
}

function resultOf<K extends CallName>({ id, call, args }: CallMessage<K>): Promise<ResultMessage<K>> {
  const table: CallTable = calls;
  return table[call](...args).then((result) => ({ type: "result", id, call, result }));
}

function errorMessage({ id, call }: CallMessage, error: unknown): ErrorMessage {
  const message = error instanceof Error ? error.message : String(error);
  const mistake = error instanceof UserError ? { code: error.code, details: error.details } : undefined;
  return { type: "error", id, call, message, mistake };
}

let ready: Promise<void> = Promise.reject(new Error("the page has sent no start message"));
ready.catch(() => undefined);

addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === "call") {
    void answer(data);
    return;
  }
  ready = loadOnnxRuntime(data, tell);
  // every call that waits for it rejects with the same error
  ready.catch(() => undefined);
});
