import { join } from "node:path";
import { expect, test } from "vitest";
import { buildSite } from "../../web/site/build.ts";
import { serveSite } from "../../web/site/server.ts";
import { packagedModel } from "../../web/site/site-model.ts";
import { openBrowser, openPage } from "../support/browser.ts";
import { ownClasses, ownPhoto } from "../support/own-photos.ts";
import { writeFiles } from "../support/picture-folder.ts";
import { temporaryFolder } from "../support/shake.ts";

const folder = temporaryFolder();

test("docs/your-pictures.png: two classes of one's own, trained and tried", async () => {
  const site = join(folder, "site");
  for (const name of ownClasses)
    for (let i = 0; i < 24; i++)
      writeFiles(folder, { [`photos/${name}/${String(i).padStart(2, "0")}.png`]: await ownPhoto(name, i) });
  writeFiles(folder, { "new.png": await ownPhoto("sun", 24) });
  const [browser] = await Promise.all([openBrowser(), buildSite(site, await packagedModel())]);
  const server = await serveSite(site, { port: 0 });
  const { page } = await openPage(browser, "about:blank");
  await page.setViewportSize({ width: 1000, height: 700 });
  await page.goto(`${server.origin}/#your-pictures`);
  await page.locator("[data-class-id]").nth(1).waitFor();
  await page.setInputFiles("#own-folder", join(folder, "photos"));
  await expect
    .poll(() => page.locator(".own-count").allInnerTexts(), { timeout: 60_000 })
    .toEqual(["24 pictures", "24 pictures"]);
  await page.click("#own-train");
  await expect.poll(() => page.innerText("#own-training"), { timeout: 120_000 }).toMatch(/^Done/);
  await page.setInputFiles("#own-try-input", join(folder, "new.png"));
  await expect.poll(() => page.innerText("#own-answer"), { timeout: 20_000 }).toMatch(/^Recognised as sun/);
  // CSS transitions end
  await page.waitForTimeout(1500);
  const how = await page.locator(".how").boundingBox();
  await page.screenshot({
    path: join("docs", "your-pictures.png"),
    fullPage: true,
    clip: { x: 0, y: 0, width: 1000, height: how?.y ?? 700 },
  });
  await browser.close();
  await server.close();
});
