import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { buildSite } from "../../web/site/build.ts";
import { cellContrasts } from "../support/contrast.ts";
import { demoSite, shownPercents } from "../support/demo-site.ts";

const demo = demoSite();

const sentence = (page: Page) => page.innerText("#error p");

async function train(page: Page, choices: Readonly<Record<string, string>> = {}): Promise<void> {
  await page.click("#tab-train");
  const all = { width: "4", images: "500", epochs: "1", batchSize: "128", device: "wasm", ...choices };
  for (const [name, value] of Object.entries(all)) {
    const field = page.locator(`#train-form [name=${name}]`);
    if (name === "epochs") await field.fill(value);
    else await field.selectOption(value);
  }
  await page.click("#start-training");
}

const status = (page: Page) => page.innerText("#training-status");
const untilDone = (page: Page) => expect.poll(() => status(page), { timeout: 60_000 }).toMatch(/^Done\./);

async function drop(page: Page, name: string, type: string, content: string): Promise<void> {
  await page.evaluate(
    ([name, type, content]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([content], name, { type }));
      window.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, cancelable: true }));
    },
    [name, type, content] as const,
  );
}

test("a page without a model says so, trains a network, and uses it", async () => {
  const site = join(demo.folder, "empty-site");
  await mkdir(site, { recursive: true });
  await buildSite(site);
  const { page, errors } = await demo.openBare({ site });
  await expect.poll(() => page.innerText("#no-model")).toMatch(/^The page was built without a model\. /);
  await expect.poll(() => page.innerText("#status")).toBe("The page has no model yet.");
  await page.setViewportSize({ width: 360, height: 640 });
  const tops = await page
    .locator("[role=tab]")
    .evaluateAll((all) => all.map((each) => each.getBoundingClientRect().top));
  expect(new Set(tops).size).toBe(1);
  await page.click("#tab-shake");
  expect(await page.innerText("#shake-missing")).toMatch(/^The page has no model yet: drop a checkpoint/);
  expect(await page.isVisible("#shake-body")).toBe(false);
  await page.click("#tab-classify");
  await page.click("#no-model-train");
  await train(page);
  await untilDone(page);
  // ONNX Runtime has come meanwhile
  expect(await page.innerText("#status")).toBe("The page has no model yet.");
  await page.click("#use-trained");
  await expect.poll(() => page.innerText("#answer")).toMatch(/^Recognised as /);
  expect(await page.isVisible("#no-model")).toBe(false);
  expect(errors).toEqual([]);
});

test("downloads need an update, and a second start asks before it discards a network", async () => {
  const { page, errors } = await demo.open();
  await page.click("#tab-train");
  const results = ["#use-trained", "#download-onnx", "#download-checkpoint", "#forget-training"];
  for (const button of results) expect(await page.isDisabled(button)).toBe(true);
  await train(page);
  await untilDone(page);
  for (const button of results) expect(await page.isEnabled(button)).toBe(true);
  await page.click("#start-training");
  expect(await page.innerText("#ask-question")).toMatch(
    /^The network of \d+ steps was neither used nor downloaded/,
  );
  await page.click("#ask button[value=no]");
  expect(await status(page)).toMatch(/^Done\./);
  const waiting = page.waitForEvent("download");
  await page.click("#download-onnx");
  await waiting;
  await page.click("#start-training");
  await expect.poll(() => status(page)).not.toMatch(/^Done\./);
  await untilDone(page);
  const note = () => page.innerText("#trained-kept");
  expect(await note()).toBe("The browser keeps the network across reloads until you forget it.");
  await page.evaluate(() => {
    const post = Worker.prototype.postMessage;
    Worker.prototype.postMessage = function (this: Worker, message: object) {
      post.call(this, message);
      const data = { type: "event", event: { type: "kept", isKept: false } };
      this.dispatchEvent(new MessageEvent("message", { data }));
    };
  });
  const again = page.waitForEvent("download");
  await page.click("#download-checkpoint");
  await again;
  expect(await note()).toMatch(/^This browser could not keep the network: download it/);
  expect(errors).toEqual([]);
});

test("a reload during training warns, and the training goes on from what the browser kept", async () => {
  const { page, errors } = await demo.open();
  await train(page, { epochs: "30", batchSize: "32" });
  const step = async () => Number((await page.innerText("#training-facts")).match(/step\s+(\d+) of/)?.[1]);
  await expect.poll(step, { timeout: 90_000 }).toBeGreaterThan(21);
  const warnings: string[] = [];
  page.on("dialog", async (dialog) => {
    warnings.push(dialog.type());
    await dialog.accept();
  });
  await page.reload();
  expect(warnings).toEqual(["beforeunload"]);
  await page.click("#tab-train");
  await expect
    .poll(() => status(page))
    .toMatch(/before the page was reloaded, after step \d+\. Resume goes on/);
  expect(await page.inputValue("[name=epochs]")).toBe("30");
  expect(await page.getAttribute("#loss-chart canvas", "aria-label")).toMatch(
    /^Loss over steps\. training: /,
  );
  const kept = Number((await status(page)).match(/step (\d+)/)?.[1]);
  expect(kept).toBeGreaterThanOrEqual(20);
  await page.click("#resume-training");
  await expect.poll(step, { timeout: 60_000 }).toBeGreaterThan(kept);
  await page.click("#stop-training");
  await expect.poll(() => status(page)).toMatch(/^Stopped after step/);
  await page.click("#forget-training");
  await page.click("#ask-yes");
  await expect.poll(() => status(page)).toBe("Not started.");
  await page.reload();
  await expect.poll(() => page.textContent("#timing"), { timeout: 20_000 }).not.toBe("");
  expect(await status(page)).toBe("Not started.");
  expect(errors).toEqual([]);
});

test("on a phone a tapped test picture shows its answer without scrolling, and is marked", async () => {
  const { page, errors } = await demo.openCommon();
  await page.setViewportSize({ width: 360, height: 640 });
  const button = page.locator("#examples button").nth(14);
  await button.scrollIntoViewIfNeeded();
  await button.click();
  const strip = page.locator("#answer-strip");
  await expect.poll(() => strip.innerText()).toMatch(/^Recognised as \w+ \([\d.]+\s%\)$/);
  const { y = 0, height = 0 } = (await strip.boundingBox()) ?? {};
  expect(y).toBeGreaterThan(0);
  expect(y + height).toBeLessThanOrEqual(640);
  expect(await button.getAttribute("aria-pressed")).toBe("true");
  expect(await page.locator("#examples [aria-pressed=true]").count()).toBe(1);
  expect(errors).toEqual([]);
});

test("the button of a long message stays whole on a phone", async () => {
  const { page } = await demo.openCommon();
  await page.setViewportSize({ width: 360, height: 640 });
  await drop(page, `${"a-very-long-name-".repeat(8)}.txt`, "text/plain", "x");
  await expect.poll(() => sentence(page)).toMatch(/\.txt is not /);
  const { height = 0, width = 0 } = (await page.locator("#error button").boundingBox()) ?? {};
  expect(height).toBeLessThan(45);
  expect(width).toBeGreaterThan(50);
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360);
});

test("a picture in SVG is drawn, with and without a size of its own", async () => {
  const { page, errors } = await demo.openCommon();
  const shape = `<rect width="100%" height="100%" fill="rgb(10 200 30)"/></svg>`;
  const open = `<svg xmlns="http://www.w3.org/2000/svg"`;
  const middle = () =>
    page.evaluate(() => {
      const canvas = document.querySelector<HTMLCanvasElement>("#picture");
      return [...(canvas?.getContext("2d")?.getImageData(16, 16, 1, 1).data ?? [])].slice(0, 3);
    });
  for (const [name, size] of [
    ["sized.svg", ` width="40" height="40">`],
    ["free.svg", ` viewBox="0 0 8 8">`],
  ] as const) {
    await drop(page, name, "image/svg+xml", `${open}${size}${shape}`);
    await expect.poll(() => page.innerText("#picture-name")).toBe(name);
    expect(await middle()).toEqual([10, 200, 30]);
  }
  await drop(page, "broken.svg", "image/svg+xml", "<svg");
  await expect.poll(() => sentence(page)).toBe("broken.svg is not a picture that this browser can read.");
  await drop(page, "untyped.JPG", "", "no picture");
  await expect.poll(() => sentence(page)).toBe("untyped.JPG is not a picture that this browser can read.");
  expect(errors).toEqual([]);
});

test("the other files of a run are refused by what they are", async () => {
  const { page } = await demo.openCommon();
  for (const [name, kind] of [
    ["training_model.onnx", "a training model"],
    ["eval_model.onnx", "an evaluation model"],
    ["optimizer_model.onnx", "an optimizer model"],
  ] as const) {
    await page.setInputFiles("#model-file", join(demo.run, "graph", name));
    const expected = `${name} is ${kind}: drop model.onnx of the run, or its checkpoint.`;
    await expect.poll(() => sentence(page)).toBe(expected);
  }
});

test("what is seen is what screen readers hear: the names of pictures, charts and sliders", async () => {
  const { page, errors } = await demo.openCommon();
  const mismatches = await page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>("button")]
      .filter(({ ariaLabel, innerText }) => ariaLabel !== null && !ariaLabel.includes(innerText.trim()))
      .map((button) => button.outerHTML),
  );
  expect(mismatches).toEqual([]);
  await page.click("#tab-shake");
  await expect.poll(async () => (await shownPercents(page, "shake-bars")).length).toBe(10);
  const said: string[] = [];
  await page.exposeFunction("heard", (text: string) => said.push(text));
  await page.evaluate(`new MutationObserver(() => heard(document.querySelector("#status").textContent))
    .observe(document.querySelector("#status"), { childList: true })`);
  const slider = page.locator("#blocks input[type=range]").first();
  for (const value of ["0.6", "0.7", "0.8", "0.9"]) await slider.fill(value);
  expect(await slider.getAttribute("aria-valuetext")).toBe("alpha 0.90");
  await expect.poll(() => said.length).toBeGreaterThan(0);
  await page.waitForTimeout(1000);
  expect(said).toHaveLength(1);
  await page.click("#tab-train");
  await expect
    .poll(() => page.getAttribute("#accuracy-chart canvas", "aria-label"))
    .toBe("Accuracy in percent over steps. training: no values yet. test: no values yet.");
  expect(errors).toEqual([]);
});

test("a model of a path shows the name of its run alone", async () => {
  const { page } = await demo.openCommon();
  expect((await page.innerText("#model-facts")).split("\n").filter((line) => line.trim() !== "")[1]).toBe(
    "run/model.onnx",
  );
});

test("the tab Your pictures opens at a second try where the browser kept nothing at the first", async () => {
  const { page } = await demo.openBare({
    hash: "#your-pictures",
    prepare: async (page) => {
      await page.addInitScript(() => {
        const open = indexedDB.open.bind(indexedDB);
        let isRefused = false;
        IDBFactory.prototype.open = (name: string, version?: number) => {
          if (name !== "shakenet-pictures" || isRefused) return open(name, version);
          isRefused = true;
          throw new DOMException("refused", "SecurityError");
        };
      });
    },
  });
  await expect.poll(() => sentence(page)).toMatch(/^This browser keeps nothing for this page/);
  await page.click("#tab-classify");
  await page.click("#tab-your-pictures");
  await expect.poll(() => page.isVisible("#own-body")).toBe(true);
  expect(await page.isVisible("#own-elsewhere")).toBe(false);
});

test("a text that is dropped into a field is the field's, and a file is the page's", async () => {
  const { page } = await demo.openCommon();
  const isTaken = (isFile: boolean) =>
    page.evaluate((isFile) => {
      const transfer = new DataTransfer();
      if (isFile) transfer.items.add(new File(["x"], "dropped.txt"));
      else transfer.setData("text/plain", "Cats");
      const event = new DragEvent("drop", { dataTransfer: transfer, cancelable: true });
      window.dispatchEvent(event);
      return event.defaultPrevented;
    }, isFile);
  expect(await isTaken(false)).toBe(false);
  expect(await isTaken(true)).toBe(true);
  await expect.poll(() => sentence(page)).toMatch(/^dropped\.txt is not /);
});

test("the numbers of a confusion matrix have a contrast of 4.5 at least, in light and in dark", async () => {
  const { page } = await demo.openCommon();
  for (const colorScheme of ["dark", "light"] as const) {
    await page.emulateMedia({ colorScheme });
    const contrasts = await cellContrasts(page, "#confusion tbody", ["hit", "miss"]);
    expect(contrasts).toHaveLength(10);
    expect(Math.min(...contrasts), colorScheme).toBeGreaterThanOrEqual(4.5);
  }
});

test("a picture that turns right or wrong does not grow where less motion is wanted", async () => {
  const { page } = await demo.openCommon();
  const animations = () =>
    page.evaluate(() => {
      const item = document.createElement("li");
      item.className = "answer turned";
      document.querySelector("#answers")?.append(item);
      const { animationName } = getComputedStyle(item);
      item.remove();
      return animationName;
    });
  expect(await animations()).toBe("turned, grown");
  await page.emulateMedia({ reducedMotion: "reduce" });
  expect(await animations()).toBe("turned");
  await page.emulateMedia({ reducedMotion: "no-preference" });
});
