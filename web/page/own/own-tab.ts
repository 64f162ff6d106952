import { ask } from "../ask.ts";
import { find } from "../dom.ts";
import { download } from "../download.ts";
import type { Page } from "../page.ts";
import type { TabContent } from "../tabs.ts";
import { archiveOf } from "./archive.ts";
import { CameraFeed } from "./camera-feed.ts";
import { ClassCard } from "./class-card.ts";
import { Drawing } from "./drawing.ts";
import { chosenFiles } from "./folders.ts";
import { newPicture } from "./new-picture.ts";
import { oneWindow } from "./one-window.ts";
import { MOST_CLASSES, OwnClasses } from "./own-classes.ts";
import { OwnNetwork } from "./own-network.ts";
import { PictureDrops } from "./picture-drops.ts";
import { PictureReader } from "./picture-reader.ts";
import { Recorder } from "./recorder.ts";
import { TrainingPanel } from "./training-panel.ts";
import { Trial } from "./trial.ts";

/** The tab Your pictures: one's own classes, a network that is trained on them, and its answers. */
export class OwnTab implements TabContent {
  readonly #page: Page;
  readonly #classes: OwnClasses;
  readonly #network: OwnNetwork;
  readonly #camera = new CameraFeed((isOpen) => this.#showCamera(isOpen));
  readonly #recorder: Recorder;
  readonly #reader: PictureReader;
  readonly #drops: PictureDrops;
  readonly #drawing: Drawing;
  readonly #training: TrainingPanel;
  readonly #trial: Trial;
  readonly #cards = new Map<number, ClassCard>();

  private constructor(page: Page, classes: OwnClasses, network: OwnNetwork) {
    [this.#page, this.#classes, this.#network] = [page, classes, network];
    const { messages } = page;
    this.#training = new TrainingPanel(page, classes, network, () => this.#trial.reset());
    this.#trial = new Trial(network, this.#camera, messages);
    this.#recorder = new Recorder(this.#camera, messages, classes);
    this.#reader = new PictureReader(classes, messages);
    this.#drawing = new Drawing(messages);
    this.#drops = new PictureDrops(messages, {
      toClass: (id, files) => this.#read(() => this.#reader.readInto(id, files)),
      folders: (files) => this.#read(() => this.#reader.readFolders(files)),
      tryPicture: (file) => this.#trial.tryFile(file),
    });
    this.#connectButtons();
  }

  /**
   * Opens the tab with what the browser has kept, once no other window has it open: two would overwrite each
   * other's classes. Throws UserError where the browser keeps nothing for the page.
   */
  static async open(page: Page): Promise<OwnTab> {
    const elsewhere = find("own-elsewhere", HTMLElement);
    await oneWindow("shakenet-pictures", () => {
      elsewhere.textContent = OPEN_ELSEWHERE;
      elsewhere.hidden = false;
      page.messages.announce(OPEN_ELSEWHERE);
    });
    elsewhere.hidden = true;
    let tab: OwnTab | undefined;
    const classes = await OwnClasses.open(() => tab?.update());
    const network = new OwnNetwork(page.worker);
    await network.restore();
    tab = new OwnTab(page, classes, network);
    tab.update();
    tab.#training.describe();
    tab.#trial.reset();
    find("own-body", HTMLElement).hidden = false;
    return tab;
  }

  show(): void {
    this.#drops.connect();
    this.#training.prepare();
  }

  hide(): void {
    this.#drops.disconnect();
    this.#recorder.stop();
    this.#camera.close();
  }

  /** Shows the classes as they are now. */
  update(): void {
    const { all, pictureCount } = this.#classes;
    for (const id of [...this.#cards.keys()]) if (!all.some((each) => each.id === id)) this.#cards.delete(id);
    for (const each of all) this.#card(each.id).update(each);
    const items = all.map(({ id }) => this.#card(id).item);
    const list = find("own-classes", HTMLUListElement);
    if (items.some((item, i) => list.children[i] !== item) || list.children.length !== items.length)
      list.replaceChildren(...items);
    find("own-add-class", HTMLButtonElement).disabled = all.length >= MOST_CLASSES;
    find("own-archive", HTMLButtonElement).disabled = pictureCount === 0;
    find("own-forget", HTMLButtonElement).disabled = pictureCount === 0 && !this.#network.current;
    this.#training.update();
  }

  #card(id: number): ClassCard {
    const known = this.#cards.get(id);
    if (known) return known;
    const { messages } = this.#page;
    const actions = {
      record: (classId: number) => this.#recorder.start(classId),
      stopRecording: () => this.#recorder.stop(),
      addFiles: (classId: number, files: readonly File[]) =>
        void messages.guard(() => this.#read(() => this.#reader.readInto(classId, files))),
      draw: (classId: number) => this.#draw(classId),
    };
    const card = new ClassCard(id, this.#classes, actions, messages);
    this.#cards.set(id, card);
    return card;
  }

  #connectButtons(): void {
    const { messages } = this.#page;
    const onClick = (id: string, task: () => Promise<void>) =>
      find(id, HTMLButtonElement).addEventListener("click", () => void messages.guard(task));
    onClick("own-add-class", async () => {
      const { id } = await this.#classes.addClass();
      this.#card(id).focusName();
    });
    onClick("own-archive", () => this.#downloadPictures());
    onClick("own-forget", () => this.#forget());
    onClick("own-try-camera", async () => void (await this.#camera.open()));
    onClick("own-try-draw", async () =>
      this.#drawing.open("Draw something", "Recognise it", async (canvas) => this.#trial.tryCanvas(canvas)),
    );
    const chooser = (buttonId: string, inputId: string, task: (files: readonly File[]) => Promise<void>) => {
      const input = find(inputId, HTMLInputElement);
      find(buttonId, HTMLButtonElement).addEventListener("click", () => input.click());
      input.addEventListener("change", () => {
        const files = [...(input.files ?? [])];
        input.value = "";
        void messages.guard(() => task(files));
      });
    };
    chooser("own-add-folder", "own-folder", (files) =>
      this.#read(() => this.#reader.readFolders(chosenFiles(files))),
    );
    chooser("own-try-file", "own-try-input", async ([file]) => {
      if (file) await this.#trial.tryFile(file);
    });
  }

  async #read(task: () => Promise<void>): Promise<void> {
    await task();
    this.#training.prepare();
  }

  #draw(classId: number): void {
    const { name } = this.#classes.classOf(classId);
    this.#drawing.open(`Draw ${name}`, "Add it", async (canvas) => {
      const picture = await newPicture(canvas, canvas.width, canvas.height);
      await this.#classes.addPictures(classId, [picture]);
      this.#page.messages.say(`A drawing of ${name} was added.`);
    });
  }

  #showCamera(isOpen: boolean): void {
    if (isOpen) void this.#trial.look();
    else this.#training.prepare();
  }

  async #downloadPictures(): Promise<void> {
    this.#page.messages.say("Making the archive.");
    await this.#classes.unlessForgotten(async (life) => {
      const archive = await archiveOf(this.#classes);
      life.throwIfAborted();
      download("your-pictures.zip", archive);
      this.#page.messages.say("The archive of your pictures is made.");
    });
  }

  async #forget(): Promise<void> {
    const question =
      "The browser forgets your classes, all their pictures and the network. Downloaded files stay.";
    if (!(await ask(question, "Forget everything"))) return;
    this.#recorder.stop();
    this.#camera.close();
    await Promise.all([this.#network.forget(), this.#classes.clear()]);
    this.#reader.clear();
    this.#training.describe();
    this.#trial.reset();
    await this.#training.stop();
    this.#page.messages.say("Everything in this tab is forgotten.");
  }
}

const OPEN_ELSEWHERE =
  "Your pictures are open in another window of this browser: they open here once that one is closed.";
