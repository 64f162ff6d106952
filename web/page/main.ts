import { UserError } from "../../graph-builder/errors.ts";
import type { ModelFile } from "../calls/model.ts";
import { assets } from "./assets.ts";
import { connectCamera } from "./camera.ts";
import { find } from "./dom.ts";
import { connectFiles } from "./files.ts";
import { Messages } from "./messages.ts";
import type { Page } from "./page.ts";
import { readPicture } from "./pictures.ts";
import { Store } from "./state.ts";
import { tabs } from "./tab-list.ts";
import { Tabs } from "./tabs.ts";
import { WorkerClient } from "./worker-client.ts";

const messages = new Messages();
const store = new Store();
// without its worker the page can do nothing, so this error is shown at once
const worker = new WorkerClient((error) => messages.fail(error));
const row = new Tabs(tabs);
const page: Page = { worker, store, messages, openModel, showTab: (id) => row.show(id) };
row.create(page);
find("not-started", HTMLElement).remove();

worker.listen((event) => {
  if (event.type === "download") messages.downloading(event.received, event.total);
});

async function openModel(file: ModelFile): Promise<void> {
  const { info, devices } = await worker.call("open", file);
  store.set({ model: info, devices });
}

connectFiles({
  takePicture: (file, name) =>
    void messages.guard(async () => {
      store.set({ picture: await readPicture(file, name) });
      page.showTab("classify");
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
