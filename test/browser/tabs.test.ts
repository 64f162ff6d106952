import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import { openBrowser, serveFolders } from "../support/browser.ts";
import { demoSite } from "../support/demo-site.ts";

const demo = demoSite();

const shownTab = (page: Page) => page.innerText("[role=tab][aria-selected=true]");

test("the address names the tab, and Back and Forward show the tabs before and after", async () => {
  const { page, errors } = await demo.open();
  expect(await shownTab(page)).toBe("Classify");
  await page.click("#tab-shake");
  await page.click("#tab-train");
  expect(await page.evaluate("location.hash")).toBe("#train");
  await page.goBack();
  expect(await shownTab(page)).toBe("Shake");
  expect(await page.isVisible("#shake")).toBe(true);
  await page.goBack();
  expect(await shownTab(page)).toBe("Classify");
  await page.goForward();
  expect(await shownTab(page)).toBe("Shake");
  expect(errors).toEqual([]);
});

test("Alt and the left arrow on a tab go back, and move to no tab beside it", async () => {
  const { page, errors } = await demo.openCommon();
  await page.click("#tab-train");
  await page.click("#tab-shake");
  const before = await page.evaluate<number>("history.length");
  await page.evaluate(() =>
    document
      .querySelector("#tab-shake")
      ?.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowLeft", altKey: true, bubbles: true })),
  );
  expect(await shownTab(page)).toBe("Shake");
  expect(await page.evaluate("history.length")).toBe(before);
  expect(errors).toEqual([]);
});

test("the focus in a panel that is hidden goes to the tab that is shown", async () => {
  const { page, errors } = await demo.openCommon();
  await page.click("#tab-train");
  await page.focus("#train-form [name=epochs]");
  // unlike a click of the mouse, it leaves the focus where it is
  await page.evaluate("document.querySelector('#tab-classify').click()");
  expect(await shownTab(page)).toBe("Classify");
  expect(await page.evaluate("document.activeElement.id")).toBe("tab-classify");
  expect(errors).toEqual([]);
});

test("where a page has no clipboard, the address has the settings of the form", async () => {
  const { page, errors } = await demo.open({
    hash: "#train",
    prepare: async (page) => {
      await page.addInitScript(() => {
        Object.defineProperty(Navigator.prototype, "clipboard", { get: () => undefined });
      });
    },
  });
  await page.click("#copy-train-link");
  await expect.poll(() => page.innerText("#status")).toBe("The address of the page now has these settings.");
  expect(await page.evaluate("location.hash")).toMatch(/^#train\?.*epochs=6/);
  expect(await page.isVisible("#error")).toBe(false);
  expect(errors).toEqual([]);
});

test("a link shows its tab with its settings, and leaves out those that no field can have", async () => {
  const { page, errors } = await demo.open({ hash: "#train?width=16&epochs=9&depth=99&nothing=1" });
  expect(await shownTab(page)).toBe("Train");
  expect(await page.evaluate("scrollY")).toBe(0);
  const value = (name: string) => page.locator(`#train-form [name=${name}]`).inputValue();
  expect([await value("width"), await value("epochs"), await value("depth")]).toEqual(["16", "9", "8"]);
  expect(errors).toEqual([]);
});

test("a link names the model that the page opens, and one that cannot be loaded is a sentence", async () => {
  const { page, errors } = await demo.openBare({ hash: "#train?epochs=3&model=model/model.onnx" });
  await expect.poll(() => page.innerText("#model-facts")).toMatch(/^file\s*model\.onnx/);
  expect(await shownTab(page)).toBe("Train");
  await page.click("#copy-train-link");
  expect(await page.evaluate("location.hash")).toMatch(/^#train\?.*epochs=3.*model=model%2Fmodel\.onnx$/);
  expect(errors).toEqual([]);
  for (const [link, sentence] of [
    ["no/such.onnx", /^The model could not be loaded from .*no\/such\.onnx: drop another/],
    ["file:///etc/passwd", /^The link names the model file:\/\/\/etc\/passwd, which is no address/],
    ["no/half%.onnx", /^The model could not be loaded from .*no\/half%\.onnx: drop another/],
  ] as const) {
    const { page: other } = await demo.openBare({ hash: `#classify?model=${encodeURIComponent(link)}` });
    await expect.poll(() => other.innerText("#error p")).toMatch(sentence);
    await expect.poll(() => other.innerText("#status")).toBe("The page has no model yet.");
    await other.click("#tab-shake");
    expect(await other.innerText("#shake-missing")).toMatch(/^The page has no model yet: /);
    expect(await other.isVisible("#shake-body")).toBe(false);
  }
});

/** Opens the page where the requests of one kind of script are answered so, and returns what it says. */
async function openWithout(script: RegExp, status: number): Promise<{ page: Page; close(): Promise<void> }> {
  const browser = await openBrowser();
  const server = await serveFolders({ "/": demo.site });
  const page = await browser.newPage();
  await page.route(script, (route) => route.fulfill({ status, contentType: "text/plain", body: "" }));
  await page.goto(server.origin);
  return {
    page,
    close: async () => {
      await browser.close();
      await server.close();
    },
  };
}

test("a worker that is missing or refused is a sentence, whatever is tried afterwards", async () => {
  for (const status of [404, 200]) {
    const { page, close } = await openWithout(/\/assets\/worker-/, status);
    const sentence = /^The page's worker could not be loaded: reload the page, or build it again/;
    await expect.poll(() => page.innerText("#error p")).toMatch(sentence);
    await page.click("#error button");
    await page.click("#tab-train");
    await page.click("#start-training");
    await expect.poll(() => page.innerText("#error p")).toMatch(sentence);
    await close();
  }
});

test("a main script that is missing or refused is a sentence, and an early one is not shown", async () => {
  const refusals = [404, 200].map(async (status) => {
    const { page, close } = await openWithout(/\/assets\/index-.*\.js/, status);
    expect(await page.isVisible("#not-started")).toBe(false);
    await expect.poll(() => page.isVisible("#not-started")).toBe(true);
    expect(await page.innerText("#not-started")).toMatch(/^The page has not started\. .+\.$/);
    await close();
  });
  // it is shown after four seconds
  await Promise.all(refusals);
  const { page } = await demo.open();
  expect(await page.locator("#not-started").count()).toBe(0);
});
