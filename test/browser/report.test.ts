import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { reportPage } from "../../cli/report/report-page.ts";
import { openBrowser } from "../support/browser.ts";
import { cellContrasts } from "../support/contrast.ts";
import { reportFacts } from "../support/report-facts.ts";

const folder = mkdtempSync(join(tmpdir(), "shakenet-report-"));
const file = join(folder, "report.html");
let browser: Browser;

beforeAll(async () => {
  const names = [
    "<img src=x onerror=\"document.title='run'\">",
    "a very long name of a class ".repeat(6),
    "dog",
  ];
  writeFileSync(file, reportPage(reportFacts(names)));
  browser = await openBrowser();
});

afterAll(async () => {
  await browser?.close();
  rmSync(folder, { recursive: true, force: true });
});

test.each([
  [360, "light"],
  [360, "dark"],
  [768, "light"],
  [1440, "dark"],
] as const)(
  "a report opens from its file at %s px in %s: no error, no request, nothing beside the page",
  async (width, colorScheme) => {
    const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
    const faults: string[] = [];
    page.on("console", (message) => faults.push(message.text()));
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("request", (request) => {
      if (!/^(data:|file:.*report\.html$)/.test(request.url())) faults.push(request.url());
    });
    await page.goto(pathToFileURL(file).href);
    const found = await page.evaluate(() => ({
      pictures: [...document.images].map(({ naturalWidth }) => naturalWidth),
      overflow: document.documentElement.scrollWidth - innerWidth,
      cut: [...document.querySelectorAll(".tiles b")]
        .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth)
        .map(({ textContent }) => textContent),
      background: getComputedStyle(document.body).backgroundColor,
      title: document.title,
    }));
    const contrasts = await cellContrasts(page, ".matrix tbody", ["own", "other"]);
    await page.close();
    expect(contrasts).toHaveLength(10);
    expect(Math.min(...contrasts)).toBeGreaterThanOrEqual(4.5);
    expect(faults).toEqual([]);
    expect(found.pictures).toEqual([4, 4, 4]);
    expect(found.overflow).toBeLessThanOrEqual(0);
    expect(found.cut).toEqual([]);
    expect(found.background).toBe(colorScheme === "dark" ? "rgb(18, 21, 27)" : "rgb(246, 247, 249)");
    expect(found.title).toBe("ShakeNet 8 2x2d on photos");
  },
);

test.each([768, 1000, 1440])("at %s px the matrix of ten classes is there in full", async (width) => {
  const ten = join(folder, "ten.html");
  const tenNames = Array.from({ length: 10 }, (_, i) => `automobile ${i}`);
  writeFileSync(ten, reportPage(reportFacts(tenNames)));
  const page = await browser.newPage({ viewport: { width, height: 900 } });
  await page.goto(pathToFileURL(ten).href);
  const hidden = await page.evaluate(() => {
    const box = document.querySelector("#confusion .scroll");
    return box && box.scrollWidth - box.clientWidth;
  });
  await page.close();
  expect(hidden).toBe(0);
});
