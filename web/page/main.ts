import type { ModelFile } from "../calls/model.ts";
import type { CallResults } from "../protocol.ts";
import { connectCamera } from "./camera.ts";
import { find } from "./dom.ts";
import { connectFiles } from "./files.ts";
import { watchLongModels } from "./long-model.ts";
import { Messages } from "./messages.ts";
import { firstModel, modelIn } from "./model-source.ts";
import type { Page } from "./page.ts";
import { type Picture, readPicture } from "./pictures.ts";
import { Store } from "./state.ts";
import { tabs } from "./tab-list.ts";
import { Tabs } from "./tabs.ts";
import { WorkerClient } from "./worker-client.ts";

const messages = new Messages();
const store = new Store();
// without its worker the page can do nothing, so this error is shown at once
const worker = new WorkerClient((error) => messages.fail(error));
const row = new Tabs(tabs);
const page: Page = { worker, store, messages, openModel, feedModel, showTab: (id) => row.show(id) };
row.create(page);
find("not-started", HTMLElement).remove();

/** Whether the page has no model to open first. */
let isBare = false;

function sayNoModel(): void {
  messages.say("The page has no model yet.");
}

worker.listen((event) => {
  if (event.type !== "download") return;
  messages.downloading(event.received, event.total);
  if (isBare && event.received >= event.total) sayNoModel();
});

let opened: ModelFile | undefined;
let isOpening = false;

async function openModel(file: ModelFile, heldOut: readonly Picture[] = []): Promise<void> {
  const { info, devices } = await open(file);
  const { picture, isPictureChosen, examples = [] } = store.state;
  // the pictures of the model before it may have other classes
  const isOwn = isPictureChosen && picture !== undefined && !examples.includes(picture);
  const pictures = { examples: [], leastCertain: undefined, heldOut, isPictureChosen: isOwn };
  store.set({ model: info, devices, ...pictures });
}

/** Opens the model that is shown in a new worker: its pictures, and the chosen one, stay. */
async function reopenModel(file: ModelFile): Promise<void> {
  const { info, devices } = await open(file);
  store.set({ model: info, devices });
}

async function open(file: ModelFile): Promise<CallResults["open"]> {
  isOpening = true;
  isBare = false;
  try {
    const result = await worker.call("open", file);
    opened = file;
    return result;
  } finally {
    isOpening = false;
  }
}

async function feedModel(feeding: ModelFile["feeding"]): Promise<void> {
  if (opened) await openModel({ ...opened, feeding }, store.state.heldOut);
}

watchLongModels(worker, () => {
  // a model that is stopped while it is opened leaves the one that was shown before it
  const before = isOpening ? opened : undefined;
  opened = before;
  if (before) void reopenModel(before).catch((error: unknown) => messages.fail(error));
  else messages.say("The model was stopped: open another one.");
});

connectFiles({
  takePicture: (file, name) =>
    void messages.guard(async () => {
      store.set({ picture: await readPicture(file, name), isPictureChosen: true });
      page.showTab("classify");
    }),
  takeModel: (file) => void messages.guard(async () => openModel(await modelIn(file))),
});
connectCamera(messages, (picture) => store.set({ picture, isPictureChosen: true }));

/** Tells all tabs that there is no model. */
function showNoModel(): void {
  isBare = true;
  store.set({ model: undefined });
  sayNoModel();
}

void messages.inBackground(async () => {
  try {
    const model = await firstModel();
    if (model) await openModel(model);
    else showNoModel();
  } catch (error) {
    // the user may have opened another one meanwhile
    if (!opened && !isOpening) showNoModel();
    throw error;
  }
});
