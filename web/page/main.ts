import { UserError } from "../../graph-builder/errors.ts";
import type { ModelFile } from "../protocol.ts";
import { assets } from "./assets.ts";
import { connectCamera } from "./camera.ts";
import { ClassifyPage } from "./classify.ts";
import { connectFiles } from "./files.ts";
import { Messages } from "./messages.ts";
import { readPicture } from "./pictures.ts";
import { ShakePage } from "./shake.ts";
import { Store } from "./state.ts";
import { connectTabs } from "./tabs.ts";
import { TrainPage } from "./train.ts";
import { WorkerClient } from "./worker-client.ts";

const messages = new Messages();
const store = new Store();
const worker = new WorkerClient();
const classify = new ClassifyPage(worker, store, messages);
const shake = new ShakePage(worker, store, messages);
const showTab = connectTabs((id) => {
  shake.isShown = id === "shake";
  if (store.state.model) messages.say("Ready");
});
new TrainPage(worker, messages, async (file) => {
  await openModel(file);
  showTab("classify");
});

worker.listen((event) => {
  if (event.type === "download") messages.downloading(event.received, event.total);
});

async function openModel(file: ModelFile): Promise<void> {
  const { info, devices } = await worker.call("open", file);
  if (info.data !== store.state.model?.data) store.set({ examples: [] });
  store.set({ model: info, devices });
  await classify.showExamples();
  await classify.chooseDevice();
}

connectFiles({
  takePicture: (file, name) =>
    void messages.guard(async () => {
      store.set({ picture: await readPicture(file, name) });
      showTab("classify");
    }),
  takeModel: (file) =>
    void messages.guard(async () =>
      openModel({ name: file.name, bytes: new Uint8Array(await file.arrayBuffer()) }),
    ),
});
connectCamera(messages, (picture) => store.set({ picture }));

async function fetchBytes(path: string): Promise<Uint8Array> {
  const response = await fetch(path, { cache: "no-cache" }).catch(() => undefined);
  if (!response?.ok)
    throw new UserError(`The model could not be loaded from ${path}: drop another model on the page.`, {
      code: "download-failed",
    });
  return new Uint8Array(await response.arrayBuffer());
}

void messages.guard(async () => {
  if (!assets.model) {
    messages.say("The page has no model yet: drop an .onnx file of shake on the page, or train a network.");
    return;
  }
  const { run, onnx, checkpoint } = assets.model;
  const [bytes, trained] = await Promise.all([fetchBytes(onnx), fetchBytes(checkpoint)]);
  await openModel({ name: `${run}/model.onnx`, bytes, checkpoint: trained });
});
