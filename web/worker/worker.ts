import { UserError } from "../../graph-builder/errors.ts";
import { drawShapes } from "../../runtime/data/shapes.ts";
import type { CallMessage, Calls, FromWorker, ToWorker, WorkerEvent } from "../protocol.ts";
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
    // meanwhile another model may have taken its place
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
    if (training?.isRunning) throw new UserError("A training is under way: stop it first.");
    training = new PageTraining(choices, queue, tell);
    return training.run();
  },
  resume: async () => expectTraining().run(),
  stop: async () => expectTraining().stop(),
  trained: async () => expectTraining().trained(),
};

function expectShown(): ShownModel {
  if (!shown) throw new UserError("There is no model yet: drop an .onnx file on the page, or train one.");
  return shown;
}

function expectTraining(): PageTraining {
  if (!training) throw new UserError("There is no training yet: start one.");
  return training;
}

function post(message: FromWorker): void {
  globalThis.postMessage(message);
}

function tell(event: WorkerEvent): void {
  post({ type: "event", event });
}

/** The arguments belong to the call, which TypeScript does not follow through a union. */
async function answer({ id, call, args }: CallMessage): Promise<void> {
  try {
    const result = await (calls[call] as (...args: unknown[]) => Promise<unknown>)(...args);
    post({ type: "result", id, result });
  } catch (error) {
    const { message } = error as Error;
    post({ type: "error", id, message, isUser: error instanceof UserError });
  }
}

let ready: Promise<void> = Promise.reject(new Error("the page has not said where ONNX Runtime is"));
ready.catch(() => undefined);

addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === "start") {
    ready = loadOnnxRuntime(data, tell);
    // a failure is told to whoever asks for something
    ready.catch(() => undefined);
  } else
    void ready.then(
      () => answer(data),
      (error: Error) =>
        post({ type: "error", id: data.id, message: error.message, isUser: error instanceof UserError }),
    );
});
