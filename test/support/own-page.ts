import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll } from "vitest";
import { serveSite } from "../../web/site/server.ts";
import { openBrowser, openPage } from "./browser.ts";
import { packagedSite } from "./demo-site.ts";
import { ownClasses, ownPhoto } from "./own-photos.ts";
import { writeFiles } from "./picture-folder.ts";
import { temporaryFolder } from "./shake.ts";

/** A lesson that the page gave its worker. */
export interface GivenLesson {
  readonly classNames: readonly string[];
  readonly labels: readonly number[];
  /** The values of each picture. */
  readonly rows: readonly (readonly number[])[];
  readonly heldOut: readonly number[];
}

/**
 * The built page with its packaged network, for the tab Your pictures, and photos in `photos/<class>/0.png`
 * to `9.png`. Those of `new/<class>/` are never given to the page.
 */
export function ownPage() {
  const folder = temporaryFolder();
  const opened: { close(): Promise<void> }[] = [];
  let site: string;
  const browsers = new Map<boolean, Promise<Browser>>();
  const browserWith = (webgpu: boolean) => {
    const browser = browsers.get(webgpu) ?? openBrowser({ webgpu });
    browsers.set(webgpu, browser);
    return browser;
  };

  beforeAll(async () => {
    site = await packagedSite();
    for (const name of ownClasses)
      for (let i = 0; i < 13; i++)
        writeFiles(folder, { [`${i < 10 ? "photos" : "new"}/${name}/${i}.png`]: await ownPhoto(name, i) });
  }, 120_000);

  afterEach(async () => {
    for (const thing of opened.splice(0)) await thing.close();
  });

  afterAll(async () => {
    for (const browser of browsers.values()) await (await browser).close();
  });

  return {
    folder,
    /** The files of the photos of a class, `times` times over. */
    photosOf: (name: string, times = 1) =>
      Array.from({ length: 10 * times }, (_, i) => join(folder, "photos", name, `${i % 10}.png`)),
    /** Opens the tab, at first with the camera of a white wall that a button of the test makes black. */
    async openTab({ webgpu = false } = {}): Promise<{ page: Page; errors: string[] }> {
      const server = await serveSite(site, { port: 0 });
      const { page, errors } = await openPage(await browserWith(webgpu), "about:blank");
      opened.push(page, server);
      await page.addInitScript(cameraOfAWall);
      await page.addInitScript(holdAndRecord);
      await page.goto(`${server.origin}/#your-pictures`);
      await page.locator("[data-class-id]").nth(1).waitFor();
      return { page, errors };
    },
  };
}

/** What the page waits for until it is released: `pictures` are the files that it reads. */
export async function hold(page: Page, what: "pictures" | "embed" | "trainLastLayer" | ""): Promise<void> {
  await page.evaluate((what) => document.documentElement.setAttribute("data-hold", what), what);
}

/** How many calls of this name have been made or are held. */
export function callsOf(page: Page, name: string): Promise<number> {
  return page.evaluate((name) => Number(document.documentElement.dataset[`calls_${name}`] ?? 0), name);
}

/** The last lesson that the page gave its worker. */
export async function lessonOf(page: Page): Promise<GivenLesson> {
  return JSON.parse(await page.evaluate(() => document.documentElement.dataset["lesson"] ?? "null"));
}

/** The device that has computed the last features; null where none were computed. */
export function embedDevice(page: Page): Promise<string | null> {
  return page.evaluate(() => document.documentElement.getAttribute("data-embed-device"));
}

/** The features that the browser keeps, in the order of the pictures. */
export function keptFeatures(page: Page): Promise<number[][]> {
  return page.evaluate(async () => {
    const result = <T>(request: IDBRequest<T>) =>
      new Promise<T>((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const database = await result(indexedDB.open("shakenet-pictures"));
    const store = database.transaction("features").objectStore("features");
    const found = await result<{ values: Float32Array }[]>(store.getAll());
    database.close();
    return found.map(({ values }) => [...values]);
  });
}

/** How many pictures, files and features the browser keeps. */
export async function keptCounts(page: Page): Promise<number[]> {
  return (await keptIds(page)).map(({ length }) => length);
}

/** The ids of the pictures, of the files and of the features that the browser keeps. */
export function keptIds(page: Page): Promise<number[][]> {
  return page.evaluate(async () => {
    const result = <T>(request: IDBRequest<T>) =>
      new Promise<T>((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
      });
    const database = await result(indexedDB.open("shakenet-pictures"));
    const names = ["inputs", "files", "features"];
    const stores = database.transaction(names);
    const ids = await Promise.all(names.map((name) => result(stores.objectStore(name).getAllKeys())));
    database.close();
    return ids.map((keys) => keys.map(Number));
  });
}

function cameraOfAWall(): void {
  navigator.mediaDevices.getUserMedia = async () => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 64;
    const context = canvas.getContext("2d");
    const draw = () => {
      if (context) context.fillStyle = document.documentElement.dataset["wall"] ?? "white";
      context?.fillRect(0, 0, 64, 64);
      requestAnimationFrame(draw);
    };
    draw();
    return canvas.captureStream(30);
  };
}

/** Holds what the attribute `data-hold` names, counts the calls of the worker, and records its lessons. */
function holdAndRecord(): void {
  interface Message {
    readonly call?: string;
    readonly args?: readonly unknown[];
  }
  interface Lesson {
    readonly classNames: readonly string[];
    readonly labels: Uint8Array;
    readonly inputs: Float32Array | Uint8Array;
    readonly heldOut: { readonly labels: Uint8Array };
  }
  const isHeld = (what = "") => what !== "" && document.documentElement.dataset["hold"] === what;
  const record = (lesson: Lesson) => {
    const { classNames, inputs, heldOut } = lesson;
    const labels = [...lesson.labels];
    const size = inputs.length / labels.length;
    const rows = labels.map((_, i) => [...inputs.slice(i * size, (i + 1) * size)]);
    const text = JSON.stringify({ classNames, labels, rows, heldOut: [...heldOut.labels] });
    document.documentElement.setAttribute("data-lesson", text);
  };
  const recordDevice = ({ data }: MessageEvent<{ call?: string; result?: { device?: string } }>) => {
    const device = data.result?.device;
    if (data.call === "embed" && device) document.documentElement.setAttribute("data-embed-device", device);
  };
  const heard = new WeakSet<Worker>();
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (this: Worker, message: Message) {
    if (!heard.has(this)) this.addEventListener("message", recordDevice);
    heard.add(this);
    const { call = "", args } = message;
    const name = `calls_${call}`;
    const { dataset } = document.documentElement;
    dataset[name] = String(Number(dataset[name] ?? 0) + 1);
    if (call === "trainLastLayer") record(args?.[1] as Lesson);
    const send = () => {
      if (isHeld(call)) setTimeout(send, 10);
      else post.call(this, message);
    };
    send();
  };
  const decode = globalThis.createImageBitmap;
  Object.assign(globalThis, {
    createImageBitmap: async (image: ImageBitmapSource) => {
      while (isHeld("pictures")) await new Promise((resolve) => setTimeout(resolve, 10));
      return decode(image);
    },
  });
}
